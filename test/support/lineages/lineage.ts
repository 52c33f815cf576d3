/** Snapshots of one volume that changes between them, block by block. Their bytes are known. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { run } from '../../../lab/core/run.ts';
import type { SnapshotFixture } from '../../../lab/ec2/snapshots.ts';
import type { TestLab } from '../lab.ts';
import { SparseVolume, type VolumeChange } from './sparse-volume.ts';

/** What happens to the volume before the next snapshot is taken. */
export interface LineageStep extends VolumeChange {
  /** Settings of this snapshot only. */
  fixture?: Partial<SnapshotFixture>;
}

export interface LineageSnapshot {
  snapshotId: string;
  volumeId: string;
  /** The path of a sparse file with the bytes of the snapshot. Nothing changes it. */
  image: string;
  /** The blocks that the snapshot has, in ascending order. */
  written: readonly number[];
}

const DAY = 86_400_000;

/** The start time of the first snapshot. The others follow one day after another. */
const FIRST_START = Date.parse('2026-01-01T00:00:00Z');

/**
 * Registers one snapshot per step, all of one volume that has 1 GiB and no blocks at the beginning. Only written blocks
 * are stored, so a volume may have the largest possible size.
 * @param fixture settings of all snapshots.
 */
export async function makeLineage(
  lab: TestLab,
  steps: readonly LineageStep[],
  fixture: Partial<SnapshotFixture> = {},
): Promise<LineageSnapshot[]> {
  const volumeId = fixture.volumeId ?? `vol-${randomBytes(9).toString('hex').slice(0, 17)}`;
  const volume = new SparseVolume(join(lab.directory, `${volumeId}.img`));
  await volume.grow(1);
  const made: LineageSnapshot[] = [];
  for (const [number, step] of steps.entries()) {
    await volume.change(step);
    const image = join(lab.directory, `${volumeId}.${number}.img`);
    await run(['cp', '--sparse=always', '--reflink=auto', '--', volume.path, image]);
    const { snapshotId } = await lab.control.addSnapshot({
      imagePath: image,
      volumeId,
      startTime: new Date(FIRST_START + number * DAY).toISOString(),
      writtenZeros: volume.zeros,
      ...fixture,
      ...step.fixture,
    });
    made.push({ snapshotId, volumeId, image, written: volume.written });
  }
  return made;
}
