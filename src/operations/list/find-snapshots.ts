/** Finds out whether the snapshots of archives still exist. Only their own region and account can tell. */

import type { CallerIdentity } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { REGION_PATTERN } from '../../lib/aws-names.ts';
import type { JudgedArchive } from '../reading/bucket/archive-state.ts';
import type { Services } from '../shared/services.ts';

/** Errors that leave the answer open. They do not stop a listing, which needs only the bucket. */
const UNKNOWN_AFTER = ['ACCESS_DENIED', 'CREDENTIALS', 'CLOUD_CALL', 'NOT_SUPPORTED_HERE'];

export interface SnapshotFinder {
  /**
   * @returns whether each snapshot exists, by id. Unknown snapshots are omitted: those of archives without a manifest that
   *   are not in this region, those of other accounts, and those in regions that cannot be called.
   */
  find(archives: readonly JudgedArchive[]): Promise<Map<string, boolean>>;
}

/** Calls STS at most once, and uses the same client for all calls to a region. */
export function snapshotFinder(services: Services, signal: AbortSignal): SnapshotFinder {
  const regions = new Map([[services.region, services.snapshots]]);
  let caller: Promise<CallerIdentity | null> | null = null;

  async function idsIn(region: string, archives: readonly JudgedArchive[]): Promise<Set<string> | null> {
    // A manifest is untrusted, and the region becomes part of a host name.
    if (!REGION_PATTERN.test(region)) return null;
    const snapshots = regions.get(region) ?? services.snapshotsIn(region);
    regions.set(region, snapshots);
    const ids = [...new Set(archives.map(({ found }) => found.id))];
    return orNull(async () => new Set((await snapshots.byId(ids, { signal })).map(({ id }) => id)));
  }

  /** Whether the caller owns the snapshot: the absence of a snapshot of another account proves nothing. */
  async function isOwn(ownerId: string): Promise<boolean> {
    caller ??= orNull(() => services.callerIdentity({ signal }));
    return (await caller)?.account === ownerId;
  }

  return {
    async find(archives) {
      const exists = new Map<string, boolean>();
      for (const [region, own] of Map.groupBy(archives, ({ origin }) => origin?.region ?? services.region)) {
        const found = await idsIn(region, own);
        for (const { found: archive, origin } of own) {
          if (found?.has(archive.id)) exists.set(archive.id, true);
          else if (found && origin && (await isOwn(origin.ownerId))) exists.set(archive.id, false);
        }
      }
      return exists;
    },
  };
}

async function orNull<T>(ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof SnapError && UNKNOWN_AFTER.includes(error.code)) return null;
    throw error;
  }
}
