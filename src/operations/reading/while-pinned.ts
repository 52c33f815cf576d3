/** Protects an archive from `expire` while it is read, which may take days if its objects must be thawed. */
import { SnapError } from '../../errors.ts';
import type { Services } from '../shared/services.ts';
import { HeldPin } from '../sharing/pins.ts';
import { type AnyManifest, assertNotExpired, readManifest } from './find-archive.ts';

export interface PinnedArchive extends AnyManifest {
  snapshotId: string;
}

export interface PinSettings {
  prefix: string;
  /** Number of days for which objects are thawed. */
  thaw: { days: number };
}

const DAY_SECONDS = 24 * 60 * 60;

/** The longest thaw takes two days. */
const DAYS_TO_THAW = 3;

/**
 * Does the work under a pin. If the work has to wait for a thaw (`THAWING`), the pin stays for the next run until it expires.
 * Without the permission to write a pin, an archive that is not marked is read all the same: it is removed only after a
 * period of grace.
 * @throws SnapError `NOT_FOUND` if the archive has expired; `ACCESS_DENIED` if it is marked and cannot be pinned; the errors
 *   of the work.
 */
export async function whilePinned<T>(
  archive: PinnedArchive,
  { prefix, thaw }: PinSettings,
  services: Pick<Services, 'store' | 'host'>,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const lifeSeconds = (thaw.days + DAYS_TO_THAW) * DAY_SECONDS;
  const pin = await takeUnlessDenied(archive, { prefix, lifeSeconds }, services, signal);
  if (pin === null) return work();
  let isThawing = false;
  await using _released = { [Symbol.asyncDispose]: () => (isThawing ? pin.leave() : pin.release()) };
  await assertStillThere(archive, services, signal);
  try {
    return await work();
  } catch (error) {
    isThawing = error instanceof SnapError && error.code === 'THAWING';
    throw error;
  }
}

/** @returns `null` if no pin is needed or possible. */
async function takeUnlessDenied(
  { snapshotId, manifest, point }: PinnedArchive,
  order: { prefix: string; lifeSeconds: number },
  { store, host }: Pick<Services, 'store' | 'host'>,
  signal: AbortSignal,
): Promise<HeldPin | null> {
  const found = manifest ?? point;
  // `expire` leaves archives without a manifest alone.
  if (!found) return null;
  try {
    return await HeldPin.take({ snapshotId, ...order }, store, signal);
  } catch (error) {
    if (!(error instanceof SnapError) || error.code !== 'ACCESS_DENIED') throw error;
    const { expiry } = found.content;
    if (!expiry) {
      host.notify({ code: 'pin.refused', snapshot: snapshotId, reason: error.message });
      return null;
    }
    throw new SnapError(
      'ACCESS_DENIED',
      `the archive of ${snapshotId} was marked for removal ${expiry.markedAt}, and this run may not protect it`,
      {
        hint: `allow s3:PutObject and s3:DeleteObject for ${order.prefix}.snap-to-s3/pins/*, or change the rules of expire so that they keep the archive`,
        cause: error,
      },
    );
  }
}

/** `expire` may have removed the archive before it saw the pin. */
async function assertStillThere(
  { snapshotId, manifest, point }: PinnedArchive,
  { store }: Pick<Services, 'store'>,
  signal: AbortSignal,
): Promise<void> {
  const { key = '', etag = '' } = manifest ?? point ?? {};
  if ((await store.head(key, { signal }))?.etag === etag) return;
  const now = await readManifest(key, snapshotId, store, signal);
  assertNotExpired(now, snapshotId);
  if (now.manifest || now.point) return;
  throw new SnapError('NOT_FOUND', `the archive of ${snapshotId} was removed while this run started`, {
    hint: 'run list to see the archives that exist',
  });
}
