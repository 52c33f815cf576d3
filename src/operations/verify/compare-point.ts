/** Opens the content of a snapshot, and compares its point with it. */
import type { PointValidation } from '../../archive/points/point-validation.ts';
import type { OpenPoint } from '../reading/point/open-point.ts';
import type { VolumeSettings } from '../shared/settings/volume.ts';
import { type Source, withSnapshotDisk } from '../source/snapshot-disk.ts';
import type { VolumeOrder } from '../source/snapshot-volume.ts';
import { checkPoint } from './check-point.ts';

/** The order of a disk, which is opened only if the source is a volume. */
type PointComparison = Omit<VolumeOrder, 'instance' | 'purpose' | 'settings'> & {
  source: Source;
  settings: VolumeOrder['settings'] & Pick<VolumeSettings, 'blockStreams'> & { downloadStreams: number };
};

/**
 * Direct reads need no block device. Every block is compared, also if only the content is wanted.
 * @param onEqual is called while the disk is still open, with what the packs were compared.
 * @throws SnapError `DIFFERS`, or the reason why the comparison is impossible.
 */
export async function comparePoint(
  opened: OpenPoint,
  comparison: PointComparison,
  onEqual: (packs: PointValidation['packs']) => Promise<void>,
): Promise<void> {
  const { snapshot, source, settings, services } = comparison;
  const reading = { ...services, streams: settings.downloadStreams, sessionKey: null };
  if (source === 'direct') {
    const { signal } = comparison;
    return onEqual(await checkPoint(opened, snapshot, { inFlight: settings.blockStreams }, { ...reading, signal }));
  }
  await withSnapshotDisk(source, { ...comparison, purpose: 'image' }, async ({ device, signal }) => {
    const packs = await checkPoint(opened, snapshot, { device: device.path }, { ...reading, signal });
    signal.throwIfAborted();
    await onEqual(packs);
  });
}
