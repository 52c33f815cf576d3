/** A disk is served as a file, which other programs read and write through the kernel. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from '../../lab/core/run.ts';
import { type FuseDisk, serveFile } from '../../src/fuse/file-server.ts';
import { mountServed } from '../../src/fuse/mount.ts';
import { isMounted } from '../../src/host/filesystems/mounts.ts';
import { runProgram, temporaryDirectory } from '../support/lab.ts';
import { seededRandom } from '../support/sampled.ts';

interface Served {
  file: string;
  errors: unknown[];
  /** Unmounts the file, and waits for the server to end. */
  end(): Promise<void>;
}

async function serve(t: TestContext, disk: FuseDisk): Promise<Served> {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'disk');
  writeFileSync(file, '');
  const descriptor = openSync('/dev/fuse', 'r+');
  const errors: unknown[] = [];
  const served = serveFile({ descriptor, disk, onError: (error) => errors.push(error) });
  await mountServed(descriptor, file);
  const end = async () => {
    await run(['umount', file]);
    await served;
    closeSync(descriptor);
    assert.ok(!isMounted(file));
  };
  return { file, errors, end };
}

/** Returns a disk whose content is in memory. */
const diskOf = (bytes: Buffer): FuseDisk => ({
  size: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
  write: async (offset, data) => void data.copy(bytes, offset),
});

const random = seededRandom();

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

test('concurrent readers read the whole disk and arbitrary parts of it', async (t) => {
  const bytes = randomBytes(20 * 2 ** 20 + 512);
  const { file, errors, end } = await serve(t, diskOf(bytes));
  assert.equal((await run(['stat', '--format', '%s %F', file])).trim(), `${bytes.length} regular file`);
  const whole = Array.from({ length: 4 }, () => run(['sha256sum', file]));
  for (const text of await Promise.all(whole)) assert.ok(text.startsWith(hashOf(bytes)));
  const places = Array.from({ length: 20 }, () => Math.floor(random() * bytes.length));
  const parts = places.map(async (at) => {
    const part =
      'dd if="$1" iflag=skip_bytes,count_bytes,fullblock skip="$2" count=70000 bs=64K status=none | sha256sum';
    const hash = await run(['bash', '-o', 'pipefail', '-c', part, 'part', file, `${at}`]);
    assert.ok(hash.startsWith(hashOf(bytes.subarray(at, at + 70_000))), `at ${at}`);
  });
  await Promise.all(parts);
  assert.deepEqual(errors, []);
  await end();
});

test('written data is read back, and nothing else changes', async (t) => {
  const bytes = randomBytes(4 * 2 ** 20);
  const expected = Buffer.from(bytes);
  const { file, end } = await serve(t, diskOf(bytes));
  const piece = randomBytes(300_000);
  const done = await runProgram(
    ['dd', `of=${file}`, 'bs=100000', 'oflag=seek_bytes', 'seek=1234567', 'conv=notrunc,fsync', 'status=none'],
    { input: piece, env: { PATH: process.env['PATH'] ?? '' } },
  );
  assert.equal(done.code, 0, done.stderr);
  piece.copy(expected, 1_234_567);
  assert.ok((await run(['sha256sum', file])).startsWith(hashOf(expected)));
  await end();
  assert.ok(bytes.equals(expected));
});

test('an unreadable block is an I/O error for the reader, and is reported', async (t) => {
  const bytes = randomBytes(2 ** 20);
  const failing: FuseDisk = {
    ...diskOf(bytes),
    read: async (offset, length) => {
      if (offset + length > 2 ** 19) throw new Error('out of order');
      return bytes.subarray(offset, offset + length);
    },
  };
  const { file, errors, end } = await serve(t, failing);
  const done = await runProgram(['cat', file], { env: { PATH: process.env['PATH'] ?? '' } });
  assert.notEqual(done.code, 0);
  assert.match(done.stderr, /Input\/output error/);
  assert.ok(errors.length > 0);
  await end();
});
