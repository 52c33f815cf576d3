/** Finds out whether the snapshots of archives still exist. Only their own region and account can tell. */
import { SnapError } from '../../errors.ts';
import type { JudgedArchive } from '../reading/bucket/archive-state.ts';
import type { Services } from '../shared/services.ts';

/** Errors that leave the answer open. They do not stop a listing, which needs only the bucket. */
const UNKNOWN_AFTER = ['ACCESS_DENIED', 'CREDENTIALS', 'CLOUD_CALL', 'NOT_SUPPORTED_HERE'];

/** The format of region names. A manifest is untrusted, and the region becomes part of a host name. */
const REGION = /^[a-z]{2,3}(-[a-z]+)+-\d{1,2}$/;

/**
 * @returns whether each snapshot exists, by id. Unknown snapshots are omitted: those of archives without a manifest that
 *   are not in this region, those of other accounts, and those in regions that cannot be called.
 */
export async function findSnapshots(
  archives: readonly JudgedArchive[],
  services: Services,
  signal: AbortSignal,
): Promise<Map<string, boolean>> {
  const exists = new Map<string, boolean>();
  const byRegion = Map.groupBy(archives, ({ origin }) => origin?.region ?? services.region);
  for (const [region, own] of byRegion) {
    const found = REGION.test(region) ? await idsIn(region, own, services, signal) : null;
    for (const { found: archive, origin } of own) {
      if (found?.has(archive.id)) exists.set(archive.id, true);
      else if (found && origin && (await isOwn(origin.ownerId, services, signal))) exists.set(archive.id, false);
    }
  }
  return exists;
}

async function idsIn(
  region: string,
  archives: readonly JudgedArchive[],
  services: Services,
  signal: AbortSignal,
): Promise<Set<string> | null> {
  const snapshots = region === services.region ? services.snapshots : services.snapshotsIn(region);
  const ids = [...new Set(archives.map(({ found }) => found.id))];
  return orNull(async () => new Set((await snapshots.byId(ids, { signal })).map(({ id }) => id)));
}

/** Whether the caller owns the snapshot: the absence of a snapshot of another account proves nothing. */
async function isOwn(ownerId: string, services: Services, signal: AbortSignal): Promise<boolean> {
  const caller = await orNull(() => services.callerIdentity({ signal }));
  return caller?.account === ownerId;
}

async function orNull<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof SnapError && UNKNOWN_AFTER.includes(error.code)) return null;
    throw error;
  }
}
