/** Compares an archive with its snapshot like `validate`, but without changing the state tag. */
import type { DrillRow } from '../../events.ts';
import type { Archive } from '../reading/find-archive.ts';
import { openPoint } from '../reading/point/open-point.ts';
import type { ReadContext } from '../reading/read-context.ts';
import type { Services } from '../shared/services.ts';
import type { DrillSettings } from '../shared/settings/drill.ts';
import { underClaim } from '../sharing/claimed-work.ts';
import { readDisk } from '../source/read-disk.ts';
import { chooseSource, withSnapshotDisk } from '../source/snapshot-disk.ts';
import { checkArchive } from './check-archive.ts';
import { comparePoint } from './compare-point.ts';

/**
 * Does nothing if the snapshot no longer exists.
 * @throws SnapError `DIFFERS`, `CLAIMED`, or the reason why the comparison is impossible.
 */
export async function compareWithSnapshot(
  archive: Archive,
  row: DrillRow,
  drill: DrillSettings,
  services: Services,
  signal: AbortSignal,
): Promise<void> {
  const { snapshotId, objects, manifest, point } = archive;
  const [snapshot] = await services.snapshots.byId([snapshotId], { signal });
  if (!snapshot) return;
  const settings = { ...drill, selection: { by: 'id' as const, ids: [snapshotId] } };
  await underClaim({ snapshot, command: 'drill', settings }, services, signal, async (fresh, claim, working) => {
    const isWholeDisk = objects.some(({ layout, partition }) => layout === 'image' && partition === null);
    const purpose = isWholeDisk ? 'image' : 'tar';
    const source = await chooseSource(fresh, settings, point ? 'image' : 'tar', services, working);
    const order = { snapshot: fresh, claim, settings, services, purpose, signal: working } as const;
    if (point) {
      const reading = { streams: drill.downloadStreams, sessionKey: null };
      const opened = await openPoint(point, { ...services, ...reading, signal: working });
      await comparePoint(opened, { ...order, source }, async () => {});
      row.comparedWith.push('snapshot');
      return 'done';
    }
    await withSnapshotDisk(source, order, async (opened) => {
      const disk = await readDisk(snapshotId, opened.device, services.host, opened.signal);
      const check: ReadContext = {
        ...services,
        signal: opened.signal,
        streams: drill.downloadStreams,
        sessionKey: null,
      };
      const contentOnly = manifest === null;
      const checks = await checkArchive({ ...settings, snapshotId, objects, manifest, disk, contentOnly }, check);
      row.comparedWith.push('snapshot');
      for (const { fetchedBytes } of checks) row.fetchedBytes += fetchedBytes;
    });
    return 'done';
  });
}
