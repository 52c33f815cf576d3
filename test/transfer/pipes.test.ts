/** Pipes get the size that the interpreters of this machine can set. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { closeAll, makePipes } from '../../src/transfer/pipes.ts';
import { temporaryDirectory } from '../support/lab.ts';

/** What fits into a pipe that nobody reads. */
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
  test(`with ${tools.join(' and ')} alone`, async (t) => {
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
    // More than may have been made by others.
    const pipes = await makePipes(100);
    t.after(() => closeAll(pipes.flatMap(({ readEnd, writeEnd }) => [readEnd, writeEnd])));
    assert.equal(roomIn(pipes.at(-1)?.writeEnd ?? -1), room);
  });
}
