/** Disks that many tests use. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDisk, type DiskPlan } from '../../lab/disks/build.ts';
import { copySparsely, type SnapshotFixture } from '../../lab/ec2/snapshots.ts';
import type { TestLab } from './lab.ts';

/** A few ordinary files. */
export const fillPlainly = async (directory: string): Promise<void> => {
  mkdirSync(join(directory, 'etc'), { recursive: true });
  writeFileSync(join(directory, 'etc', 'hostname'), 'machine\n');
  writeFileSync(join(directory, 'letters'), 'abc'.repeat(100_000));
};

export const PLAIN_DISK: Pick<DiskPlan, 'table' | 'partitions'> = {
  table: 'none',
  partitions: [{ content: 'ext4', sizeMiB: 32, populate: fillPlainly }],
};

export interface AddedSnapshot {
  snapshotId: string;
  volumeId: string;
  image: string;
}

/** Builds a disk and registers it as a snapshot that is tagged for migration. */
export async function addSnapshotOf(
  lab: TestLab,
  disk: Pick<DiskPlan, 'table' | 'partitions' | 'bootCode'> = PLAIN_DISK,
  fixture: Partial<SnapshotFixture> = {},
): Promise<AddedSnapshot> {
  const image = join(lab.directory, `disk-${randomUUID()}.img`);
  if (disk === PLAIN_DISK) await makePlainDisk(lab, image);
  else await buildDisk({ path: image, ...disk });
  return addSnapshotOfImage(lab, image, fixture);
}

/** The number of plain disks of each lab, by the directory of its test. */
const plainDisks = new Map<string, number>();

/**
 * Copies a plain disk that this run of the suites has built already, or builds it. The disks of one lab are different
 * ones, so that a mix-up of two disks is noticed.
 */
async function makePlainDisk({ directory }: TestLab, image: string): Promise<void> {
  const number = plainDisks.get(directory) ?? 0;
  plainDisks.set(directory, number + 1);
  const built = process.env['SNAP_TO_S3_BUILT_DISKS'];
  if (built === undefined) return buildDisk({ path: image, ...PLAIN_DISK });
  const kept = join(built, `plain-${number}.img`);
  if (!existsSync(kept)) await keepPlainDisk(built, kept);
  await copySparsely(kept, image);
}

/** Other processes may do the same at this moment, so the disk gets its name when it is complete. */
async function keepPlainDisk(directory: string, kept: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const path = `${kept}.${randomUUID()}`;
  await buildDisk({ path, ...PLAIN_DISK });
  renameSync(path, kept);
}

export async function addSnapshotOfImage(
  lab: TestLab,
  image: string,
  fixture: Partial<SnapshotFixture> = {},
): Promise<AddedSnapshot> {
  const added = await lab.control.addSnapshot({ imagePath: image, tags: { 'snap-to-s3': 'migrate' }, ...fixture });
  return { ...added, image };
}
