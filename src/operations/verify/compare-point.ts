/** Opens the content of a snapshot, and compares its point with it. */
import type { OpenPoint } from '../reading/point/open-point.ts';
import type { VolumeSettings } from '../shared/settings/volume.ts';
import { type Source, withSnapshotDisk } from '../source/snapshot-disk.ts';
import type { VolumeOrder } from '../source/snapshot-volume.ts';
import { checkPoint } from './check-point.ts';

/** The order of a disk, which is opened only if the source is a volume. */
type PointComparison = Omit<VolumeOrder, 'instance' | 'purpose' | 'settings'> & {
  source: Source;
  settings: VolumeOrder['settings'] & Pick<VolumeSettings, 'blockStreams'>;
};

/**
 * Direct reads need no block device. Every block is compared, also if only the content is wanted.
 * @param onEqual is called while the disk is still open.
 * @throws SnapError `DIFFERS`, or the reason why the comparison is impossible.
 */
export async function comparePoint(
  opened: OpenPoint,
  comparison: PointComparison,
  onEqual: () => Promise<void>,
): Promise<void> {
  const { snapshot, source, settings, services, signal } = comparison;
  if (source === 'direct') {
    await checkPoint(opened, snapshot, { inFlight: settings.blockStreams }, { ...services, signal });
    return onEqual();
  }
  await withSnapshotDisk(source, { ...comparison, purpose: 'image' }, async (disk) => {
    await checkPoint(opened, snapshot, { device: disk.device.path }, { ...services, signal: disk.signal });
    disk.signal.throwIfAborted();
    await onEqual();
  });
}
