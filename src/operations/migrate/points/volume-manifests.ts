/** Lists the manifests of the archives of one volume. */
import { type ArchiveName, parseSmallKey } from '../../../archive/key.ts';
import { wholeSecond } from '../../../lib/instant.ts';
import type { Migration } from '../migration.ts';

export interface VolumeManifest {
  key: string;
  snapshotId: string;
  /**
   * Whether the snapshot was started in an earlier second. Keys have whole seconds, so that two snapshots of one second
   * cannot be older than each other.
   */
  isOlder: boolean;
  startTime: Date;
}

/** @param name the archive whose volume it is, and with which the others are compared. Other prefixes are excluded. */
export async function manifestsOfVolume(
  { prefix, volumeId, startTime }: ArchiveName,
  { services, signal }: Migration,
): Promise<VolumeManifest[]> {
  const keys = await services.store.list(`${prefix}${volumeId}/`, { signal });
  const second = wholeSecond(startTime);
  return keys.flatMap((key) => {
    const parsed = parseSmallKey(key);
    if (parsed?.what !== 'manifest' || parsed.prefix !== prefix) return [];
    const { snapshotId, startTime: time } = parsed;
    return [{ key, snapshotId, isOlder: time < second, startTime: time }];
  });
}
