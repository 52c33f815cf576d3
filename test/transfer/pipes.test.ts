/** Pipes get the largest size that the interpreters on this machine can set. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { closeAll, makePipes } from '../../src/transfer/pipes.ts';
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
