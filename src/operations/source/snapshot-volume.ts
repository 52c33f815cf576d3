/** The temporary volume of a claimed snapshot. */
import { randomUUID } from 'node:crypto';
import type { DeviceProof } from '../../archive/manifest.ts';
import type { Instance, Snapshot } from '../../cloud/ports.ts';
import type { LocatedDevice } from '../../host/devices/block-devices.ts';
import { attachTemporaryVolume, type TemporaryVolume } from '../../host/volumes/temporary-volume.ts';
import type { Services } from '../shared/services.ts';
import { archivesMark, type ClaimSettings, isUsedByOther } from '../sharing/claimed-work.ts';
import type { HeldClaim } from '../sharing/claims.ts';
import { proveDevice } from './prove-device.ts';

export interface VolumeOrder {
  snapshot: Snapshot;
  claim: HeldClaim;
  settings: ClaimSettings;
  services: Services;
  instance: Instance;
  /** An image must be read from a volume that was never mounted. */
  purpose: 'tar' | 'image';
  signal: AbortSignal;
}

export interface SnapshotVolume extends TemporaryVolume {
  /** The result of the comparison of the device with the snapshot. */
  proof: DeviceProof | null;
}

/** @throws SnapError as `attachTemporaryVolume` and `proveDevice` do. */
export async function attachVolumeOf(order: VolumeOrder): Promise<SnapshotVolume> {
  const { snapshot, services, signal } = order;
  let proof: DeviceProof | null = null;
  const prove = async (device: LocatedDevice, isReused: boolean) => {
    // Volumes for images are never mounted, so their journals are never replayed.
    const mayBeReplayed = isReused && order.purpose === 'tar';
    const found = await proveDevice({ snapshot, device, mayBeReplayed }, services, signal);
    proof = found;
    return found.blocks > 0 || device.identifiedBy === 'serial';
  };
  const volume = await attachTemporaryVolume(snapshot, {
    ...order.settings,
    volumes: order.services.volumes,
    instance: order.instance,
    host: order.services.host,
    signal: order.signal,
    purpose: order.purpose,
    keep: order.settings.keepVolumes,
    archives: archivesMark(order.services, order.settings.prefix),
    isUsedByOther: () => isUsedByOther(order.claim),
    clientToken: randomUUID(),
    prove,
  });
  return { ...volume, proof };
}
