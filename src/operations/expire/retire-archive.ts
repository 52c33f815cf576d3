/** Ends the life of an archive whose period of grace is over. Its objects are removed afterwards. */
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { pinnedSnapshots } from '../sharing/pins.ts';
import { changeMark } from './change-mark.ts';
import { underExpiryClaim } from './claim-for-expiry.ts';
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
  try {
    return await underExpiryClaim(archive, context, (claim, work) => {
      claim.confirm();
      return markAsExpired(archive, work);
    });
  } catch (thrown) {
    const failure = failureOfOne(thrown);
    if (failure.code === 'CLAIMED') return failure.message;
    throw failure;
  }
}

async function markAsExpired(archive: LineageArchive, context: ExpiryContext): Promise<string | null> {
  const { mark } = archive;
  if (mark === null) return 'it is not marked';
  const expired = { ...mark, state: 'expired' } as const;
  if (!(await changeMark(archive, expired, mark, context))) return 'its manifest was changed';
  return takeBackIfPinned({ ...archive, mark: expired }, context);
}

/**
 * Takes the mark of an archive back if it is being restored. A run that was killed may have declared it expired before it had
 * read the pins.
 * @param archive which was declared expired, and of which nothing was removed yet.
 * @returns why it is not removed, as a clause; `null` if it may be removed.
 */
export async function takeBackIfPinned(archive: LineageArchive, context: ExpiryContext): Promise<string | null> {
  const { id, mark } = archive;
  const { settings, services, signal } = context;
  if (mark === null || !(await pinnedSnapshots(settings.prefix, services.store, signal)).has(id)) return null;
  await changeMark(archive, { ...mark, state: 'expiring' }, mark, context);
  return 'it is being restored';
}
