/** The temporary volume that a claim entitles to. */
import { randomUUID } from 'node:crypto';
import type { Instance, Snapshot } from '../cloud/ports.ts';
import { attachTemporaryVolume, type TemporaryVolume } from '../host/temporary-volume.ts';
import { archivesMark, type ClaimSettings, isTakenAway } from './claimed-work.ts';
import type { HeldClaim } from './claims.ts';
import type { Services } from './settings.ts';

export interface VolumeOrder {
  snapshot: Snapshot;
  claim: HeldClaim;
  settings: ClaimSettings;
  services: Services;
  instance: Instance;
  /** An image must be read from a volume that nobody has mounted. */
  purpose: 'tar' | 'image';
  signal: AbortSignal;
}

/** @throws SnapError as `attachTemporaryVolume` does. */
export const attachVolumeOf = (order: VolumeOrder): Promise<TemporaryVolume> =>
  attachTemporaryVolume(order.snapshot, {
    ...order.settings,
    volumes: order.services.volumes,
    instance: order.instance,
    host: order.services.host,
    signal: order.signal,
    purpose: order.purpose,
    keep: order.settings.keepVolumes,
    archives: archivesMark(order.services, order.settings.prefix),
    isTakenAway: () => isTakenAway(order.claim),
    clientToken: randomUUID(),
  });
