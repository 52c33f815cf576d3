/** Whether the snapshots of archives still exist, asked where they were taken: no other region or account can tell. */
import { SnapError } from '../../errors.ts';
import type { JudgedArchive } from '../reading/bucket/archive-state.ts';
import type { Services } from '../shared/services.ts';

/** What says nothing about a snapshot: the bucket alone is enough for a listing. */
const NOT_ASKED = ['ACCESS_DENIED', 'CREDENTIALS', 'CLOUD_CALL'];

/** As AWS names them. A manifest comes from elsewhere, and a region becomes part of a host name. */
const REGION = /^[a-z]{2,3}(-[a-z]+)+-\d{1,2}$/;

/**
 * @returns by snapshot id whether it exists. What could not be asked is left out: archives without a manifest whose
 *   snapshot is not in this region, snapshots of other accounts, and regions that may not be asked.
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

/** EC2 tells of an account's own snapshots only. */
async function isOwn(ownerId: string, services: Services, signal: AbortSignal): Promise<boolean> {
  const caller = await orNull(() => services.callerIdentity({ signal }));
  return caller?.account === ownerId;
}

async function orNull<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof SnapError && [...NOT_ASKED, 'NOT_SUPPORTED_HERE'].includes(error.code)) return null;
    throw error;
  }
}
