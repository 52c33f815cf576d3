/** Pipes get the largest size that the interpreters on this machine can set. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { closeSync, constants, createReadStream, openSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { closeAll, makePipes, PipeWriter } from '../../src/transfer/pipes.ts';
import { temporaryDirectory } from '../support/lab.ts';

/** Returns the number of bytes that fit into an empty pipe. */
function roomIn(descriptor: number): number {
  const again = openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
  const room = writeSync(again, Buffer.alloc(4 * 1024 * 1024));
  closeSync(again);
  return room;
}

for (const [tools, room] of [
  [['mkfifo', 'perl'], 1024 * 1024],
  [['mkfifo', 'python3'], 1024 * 1024],
  [['mkfifo'], 64 * 1024],
] as const) {
  test(`with only ${tools.join(' and ')}`, async (t) => {
    const directory = temporaryDirectory(t);
    for (const tool of tools) {
      const path = execFileSync('sh', ['-c', 'command -v "$0"', tool], { encoding: 'utf8' }).trim();
      symlinkSync(path, join(directory, tool));
    }
    const path = process.env['PATH'];
    t.after(() => {
      process.env['PATH'] = path;
    });
    process.env['PATH'] = directory;
    // Earlier tests may have left spare pipes, but fewer than these.
    const pipes = await makePipes(100);
    t.after(() => closeAll(pipes.flatMap(({ readEnd, writeEnd }) => [readEnd, writeEnd])));
    assert.equal(roomIn(pipes.at(-1)?.writeEnd ?? -1), room);
  });
}

test('full pipes do not keep other work of this process waiting', async () => {
  const pipes = await makePipes(8);
  const writers = pipes.map(({ writeEnd }) => new PipeWriter(writeEnd));
  const writing = writers.map((writer) => writer.write(Buffer.alloc(4 * 1024 * 1024)));
  // A name is looked up in a thread of the pool, which has four.
  await lookup('localhost');
  closeAll(pipes.map(({ readEnd }) => readEnd));
  assert.deepEqual(await Promise.all(writing), Array(8).fill(false));
  for (const writer of writers) writer[Symbol.dispose]();
});

test('a pipe receives all bytes, also of memory that threads share', async () => {
  const [pipe] = await makePipes(1);
  assert.ok(pipe);
  const sent = Buffer.from(new SharedArrayBuffer(300_000));
  sent.fill('sent');
  const received = buffer(createReadStream('', { fd: pipe.readEnd }));
  {
    using writer = new PipeWriter(pipe.writeEnd);
    for (let round = 0; round < 10; round++) assert.ok(await writer.write(sent));
  }
  assert.deepEqual(await received, Buffer.alloc(3_000_000, 'sent'));
});
