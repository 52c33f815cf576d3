/** Files that are written past the page cache have the same bytes on every filesystem. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { DirectWriter } from '../../../../src/lib/bytes/direct-writer.ts';

const SIZE = 12 * 2 ** 20;

/** Positions and lengths of writes. Most are multiples of a page, as those of blocks are. */
const writes = fc.array(
  fc.tuple(
    fc.oneof(
      fc.nat(SIZE / 4096).map((page) => page * 4096),
      fc.nat(SIZE),
    ),
    fc.oneof(
      fc.nat(2048).map((pages) => pages * 4096),
      fc.nat(100_000),
    ),
  ),
  { minLength: 1, maxLength: 12 },
);

for (const [what, parent] of [
  ['on a disk', tmpdir()],
  ['in memory, where direct I/O may be unsupported', '/dev/shm'],
] as const) {
  test(`any writes, ${what}: the result is the same as with ordinary writes`, () => {
    const directory = mkdtempSync(join(parent, 'snap-to-s3-test-'));
    const path = join(directory, 'file');
    const noise = randomBytes(SIZE);
    try {
      fc.assert(
        fc.property(writes, (list) => {
          const expected = Buffer.alloc(SIZE, 'old');
          writeFileSync(path, expected);
          using writer = new DirectWriter(path);
          for (const [from, length] of list) {
            const bytes = noise.subarray(0, Math.min(length, SIZE - from));
            writer.write(bytes, from);
            bytes.copy(expected, from);
          }
          writer.finish();
          assert.ok(readFileSync(path).equals(expected));
        }),
        { numRuns: 40 },
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

test('collected data is written only when needed, and the file is always closed', () => {
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-test-'));
  const path = join(directory, 'file');
  writeFileSync(path, Buffer.alloc(8192));
  try {
    {
      using writer = new DirectWriter(path);
      writer.write(Buffer.alloc(8192, 1), 0);
      assert.ok(readFileSync(path).equals(Buffer.alloc(8192)));
    }
    assert.ok(readFileSync(path).equals(Buffer.alloc(8192)), 'nobody said that it was finished');
    const open = readdirSync('/proc/self/fd').map((name) => {
      try {
        return readlinkSync(`/proc/self/fd/${name}`);
      } catch {
        return '';
      }
    });
    assert.ok(!open.includes(path));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
