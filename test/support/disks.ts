/** Disks that many tests use. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDisk, type DiskPlan } from '../../lab/disks/build.ts';
import type { SnapshotFixture } from '../../lab/ec2/snapshots.ts';
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
  const image = join(lab.directory, `disk-${Math.random().toString(36).slice(2)}.img`);
  await buildDisk({ path: image, ...disk });
  return addSnapshotOfImage(lab, image, fixture);
}

export async function addSnapshotOfImage(
  lab: TestLab,
  image: string,
  fixture: Partial<SnapshotFixture> = {},
): Promise<AddedSnapshot> {
  const added = await lab.control.addSnapshot({ imagePath: image, tags: { 'snap-to-s3': 'migrate' }, ...fixture });
  return { ...added, image };
}
