/** The mount points for the partitions of a temporary volume. */
import { join } from 'node:path';
import { mountNameFor } from '../../host/volumes/volume-marks.ts';
import type { Services } from '../shared/services.ts';
import { archivesMark } from '../sharing/claimed-work.ts';

/** @param partition `null` for a disk without a partition table. */
export function mountDirectory(
  snapshotId: string,
  partition: number | null,
  { mountPoint, prefix }: { mountPoint: string; prefix: string },
  services: Pick<Services, 'store'>,
): string {
  const name = mountNameFor(snapshotId, archivesMark(services, prefix));
  return join(mountPoint, partition === null ? name : `${name}-${partition}`);
}
