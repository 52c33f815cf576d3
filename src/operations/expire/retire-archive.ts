/** Ends the life of an archive whose period of grace is over. Its objects are removed afterwards. */
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { holdingClaim } from '../sharing/claimed-work.ts';
import { pinnedSnapshots } from '../sharing/pins.ts';
import { changeMark } from './change-mark.ts';
import type { ExpiryContext } from './expiry-context.ts';
import type { LineageArchive } from './lineage.ts';
import { lockedUntil } from './locked-objects.ts';
import type { PlannedArchive } from './plan-lineage.ts';

/**
 * Marks the archive as expired, unless something still protects it. The mark is written before the pins are read, and a
 * restore reads the mark after it has written its pin, so that one of them sees the other.
 * @returns why the archive is not removed yet, as a clause; `null` if it is marked.
 */
export async function retireArchive(planned: PlannedArchive, context: ExpiryContext): Promise<string | null> {
  const { archive, frees } = planned;
  const until = await lockedUntil(archive.lockedUntil, frees, context);
  if (until !== null) return `Object Lock protects it until ${until.toISOString()}`;
  const { services, settings, signal } = context;
  const { prefix, tagKey, claimLife: lifeSeconds } = settings;
  const snapshot = { id: archive.id, volumeId: '', tags: {} };
  try {
    return await holdingClaim(
      { snapshot, prefix, command: 'expire', tagKey, lifeSeconds },
      services,
      signal,
      (claim, running) => {
        claim.confirm();
        return markAsExpired(planned, { ...context, signal: running });
      },
    );
  } catch (thrown) {
    const failure = failureOfOne(thrown);
    if (failure.code === 'CLAIMED') return failure.message;
    throw failure;
  }
}

async function markAsExpired({ archive }: PlannedArchive, context: ExpiryContext): Promise<string | null> {
  const { mark } = archive;
  if (mark === null) return 'it is not marked';
  const expired = { ...mark, state: 'expired' } as const;
  if (!(await changeMark(archive, expired, mark, context))) return 'its manifest was changed';
  const { settings, services, signal } = context;
  if (!(await pinnedSnapshots(settings.prefix, services.store, signal)).has(archive.id)) return null;
  await changeMark(archive, mark, expired, context);
  return BEING_RESTORED;
}

const BEING_RESTORED = 'it is being restored';

/**
 * Takes the mark of an archive back if it is being restored. The run that declared it expired was killed before it had read
 * the pins.
 * @param archive which was declared expired, and of which nothing was removed yet.
 * @returns why it is not removed, as a clause; `null` if it may be removed.
 */
export async function takeBackIfPinned(archive: LineageArchive, context: ExpiryContext): Promise<string | null> {
  const { id, mark } = archive;
  const { settings, services, signal } = context;
  if (mark === null || !(await pinnedSnapshots(settings.prefix, services.store, signal)).has(id)) return null;
  await changeMark(archive, { ...mark, state: 'expiring' }, mark, context);
  return BEING_RESTORED;
}
