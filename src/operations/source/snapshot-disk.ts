/** The disk of a snapshot as a block device: a temporary volume, or a device whose blocks the EBS direct APIs provide. */
import type { Layout } from '../../archive/key.ts';
import type { DeviceProof } from '../../archive/manifest.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { pricesIn } from '../../costs/prices.ts';
import { readingCost } from '../../costs/reading.ts';
import { SnapError } from '../../errors.ts';
import type { FoundDevice } from '../../host/devices/block-devices.ts';
import { serveDisk } from '../../host/volumes/served-disk.ts';
import { seconds, sleep } from '../../lib/clock.ts';
import { rootFailure } from '../../lib/disposal.ts';
import { GiB } from '../../lib/units.ts';
import type { Services } from '../shared/services.ts';
import type { VolumeSettings } from '../shared/settings/volume.ts';
import { attachVolumeOf, type VolumeOrder } from './snapshot-volume.ts';

export type Source = 'volume' | 'direct';

/**
 * Chooses the source, and notifies the host of it unless the setting is `volume`.
 * @param use `image` if only the bytes of the disk are needed, without a block device.
 * @throws SnapError the reason if the setting is `direct` and direct reads are impossible.
 */
export async function chooseSource(
  snapshot: Snapshot,
  settings: Pick<VolumeSettings, 'source' | 'volumeType'>,
  use: Layout,
  services: Services,
  signal: AbortSignal,
): Promise<Source> {
  const { source: choice, volumeType } = settings;
  if (choice === 'volume') return 'volume';
  const { source, reason } = await weigh(snapshot, choice, use, services, signal);
  const dollars = readingCost(snapshot, volumeType, pricesIn(services.region));
  services.host.notify({ code: 'source.chosen', snapshot: snapshot.id, source, reason, dollars });
  return source;
}

async function weigh(
  snapshot: Snapshot,
  choice: 'direct' | 'auto',
  use: Layout,
  services: Services,
  signal: AbortSignal,
): Promise<{ source: Source; reason: string }> {
  if (choice === 'auto' && use === 'tar' && (await isOnInstance(services))) {
    return { source: 'volume', reason: 'this machine is an EC2 instance in the region' };
  }
  try {
    await services.blocks.list(snapshot.id, 0, { signal }).next();
    const reason = use === 'image' ? 'an image needs no volume' : 'this machine is not an EC2 instance in the region';
    return { source: 'direct', reason: choice === 'direct' ? '--source direct' : reason };
  } catch (error) {
    const isReason = error instanceof SnapError && ['ACCESS_DENIED', 'SNAPSHOT_UNUSABLE'].includes(error.code);
    if (choice === 'direct' || !isReason) throw error;
    return { source: 'volume', reason: error.message };
  }
}

const isOnInstance = (services: Services): Promise<boolean> =>
  services.instance().then(
    () => true,
    () => false,
  );

export interface SnapshotDisk extends AsyncDisposable {
  device: FoundDevice;
  /** `null` for direct reads. */
  proof: DeviceProof | null;
  /** Use it for all work with the disk: it is also aborted when the disk fails. */
  signal: AbortSignal;
}

/**
 * Opens the disk, works with it, and gives it back.
 * @throws SnapError as `attachTemporaryVolume` and `serveDisk` do, `UNREADABLE`, and what the work throws.
 */
export async function withSnapshotDisk<T>(
  source: Source,
  order: Omit<VolumeOrder, 'instance'>,
  work: (disk: SnapshotDisk) => Promise<T>,
): Promise<T> {
  await using disk = await openSnapshotDisk(source, order);
  try {
    return await work(disk);
  } catch (error) {
    throw await explained(error, disk);
  }
}

/** How long the process that serves a disk may take to report why a read failed. */
const REPORTS_WITHIN = seconds(1);

/** The kernel says only `EIO`; the reason comes from the process that serves the disk. */
async function explained(error: unknown, { device, signal }: SnapshotDisk): Promise<unknown> {
  const { failure } = rootFailure(error);
  if (!isInputOutputError(failure)) return error;
  await sleep(REPORTS_WITHIN, signal).catch(() => {});
  if (signal.aborted) return signal.reason;
  return new SnapError('UNREADABLE', `${device.path} cannot be read: ${failure.message}`, {
    hint: 'look for read errors in dmesg; then run the same command again',
    cause: error,
  });
}

const isInputOutputError = (error: unknown): error is Error =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === 'EIO';

async function openSnapshotDisk(source: Source, order: Omit<VolumeOrder, 'instance'>): Promise<SnapshotDisk> {
  const { snapshot, settings, services, signal } = order;
  if (source === 'volume') {
    const volume = await attachVolumeOf({ ...order, instance: await services.instance() });
    const { device, proof } = volume;
    return { device, proof, signal, [Symbol.asyncDispose]: () => volume[Symbol.asyncDispose]() };
  }
  const served = await serveDisk({
    snapshotId: snapshot.id,
    size: snapshot.sizeGiB * GiB,
    source: {
      kind: 'snapshot',
      access: { ...services.directAccess, blockRate: services.directAccess.blockRate / settings.concurrency },
      dataBytes: snapshot.dataBytes,
    },
    inFlight: settings.blockStreams,
    host: services.host,
    signal,
  });
  return {
    device: served.device,
    proof: null,
    signal: AbortSignal.any([signal, served.failed]),
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  };
}
