/** Archives of several kinds in one bucket, with the keys of their objects. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { keysIn } from './archives.ts';
import { type AddedSnapshot, addSnapshotOf, fillPlainly } from './disks.ts';
import { labForTest, runMigrate, type TestLab } from './lab.ts';

export interface StoredArchive extends AddedSnapshot {
  manifest: string;
  index: string;
  data: string;
}

export const KINDS = {
  lz4: [],
  zstd: ['--compression', 'zstd'],
  image: ['--dd', '--source', 'direct'],
} as const;

export type Kind = keyof typeof KINDS;

export interface StoredArchives {
  lab: TestLab;
  archives: Record<Kind, StoredArchive>;
}

/** The data is incompressible, so each bit of the object is a bit of a file. */
const NOISE_BYTES = 3_000_000;

/** The name is longer than the field of a tar header, so tar stores it in a record without a checksum. */
export const LONG_NAME = randomBytes(100).toString('hex');

/** The number of files in each archive of files. */
export const FILE_COUNT = 4;

const DISK = {
  table: 'none' as const,
  partitions: [
    {
      content: 'ext4' as const,
      sizeMiB: 32,
      populate: async (root: string) => {
        await fillPlainly(root);
        writeFileSync(join(root, 'noise'), randomBytes(NOISE_BYTES));
        writeFileSync(join(root, LONG_NAME), 'a file');
      },
    },
  ],
};

export async function storedArchives(t: TestContext): Promise<StoredArchives> {
  const lab = await labForTest(t, { allowLeftovers: ['volume'] });
  const [lz4, zstd, image] = [await stored(lab, 'lz4'), await stored(lab, 'zstd'), await stored(lab, 'image')];
  return { lab, archives: { lz4, zstd, image } };
}

async function stored(lab: TestLab, kind: Kind): Promise<StoredArchive> {
  const added = await addSnapshotOf(lab, DISK);
  const done = await runMigrate(lab, ['--snapshots', added.snapshotId, ...KINDS[kind]]);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const keys = (await keysIn(lab)).filter((key) => key.includes(added.snapshotId));
  const one = (pattern: RegExp): string => {
    const [found = '', ...others] = keys.filter((key) => pattern.test(key));
    assert.ok(found !== '' && others.length === 0, `${pattern}: ${keys}`);
    return found;
  };
  return {
    ...added,
    manifest: one(/\.manifest\.json$/),
    index: one(/\.index\.zst$/),
    data: one(/\.(tar|img)\.(lz4|zst)$/),
  };
}
