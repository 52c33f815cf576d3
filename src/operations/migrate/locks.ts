/** The locks of new archives. docs/object-lock.md explains the rules. */
import { describeLock } from '../../archive/lock-note.ts';
import type { LockMode, ObjectLock } from '../../cloud/object-lock.ts';
import type { ArchiveStore, ObjectHead } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { inParallel } from '../../lib/parallel.ts';
import { count } from '../../lib/units.ts';
import type { LockSettings } from '../shared/settings/migrate.ts';

/** The lock that was asked for, and when the run began to store the archive, by the clock of the store. */
export interface LockTerms extends LockSettings {
  from: Date;
}

/** S3 accepts no more: 100 years. */
const MAX_DAYS = 36_500;

/** Days beyond those asked for, in which an interrupted upload may be resumed although its lock has a date. */
const RESUME_DAYS = 7;

/** Days in which further points may join a chain: as many as its objects are locked for, within these limits. */
const JOIN_DAYS = { least: 30, most: 365 };

const DAY = 86_400_000;

/** @returns a whole second, because stores may cut off milliseconds. */
const daysAfter = (from: Date, days: number): Date =>
  new Date(Math.ceil((from.getTime() + Math.min(days, MAX_DAYS) * DAY) / 1000) * 1000);

/** The lock of the objects of an archive that is no point. */
export const lockOfArchive = ({ mode, days, from }: LockTerms): ObjectLock => ({
  mode,
  until: daysAfter(from, days + RESUME_DAYS),
});

/** The lock of all objects of a new chain. */
export function lockOfChain({ mode, days, from }: LockTerms): ObjectLock {
  const joining = Math.min(Math.max(days, JOIN_DAYS.least), JOIN_DAYS.most);
  return { mode, until: daysAfter(from, days + joining) };
}

/** Whether a lock that was begun earlier still protects for as long as was asked for. */
export const isLongEnough = ({ until }: ObjectLock, { days, from }: LockTerms): boolean =>
  until.getTime() >= from.getTime() + Math.min(days, MAX_DAYS) * DAY;

/** @returns why a point with these terms cannot join the chain, as a clause; `null` if nothing prevents it. */
export function obstacleToJoining(chain: ObjectLock | null, terms: LockTerms | null): string | null {
  if (chain === null) return terms && 'the objects of the chain are not locked';
  if (terms === null) return `the objects of the chain are locked (${describeLock(chain)}), and no lock was asked for`;
  if (chain.mode !== terms.mode) return `the objects of the chain are locked in the mode ${chain.mode}`;
  if (isLongEnough(chain, terms)) return null;
  return `the lock of the chain ends ${chain.until.toISOString()}, in less than ${count(terms.days, 'day')}`;
}

type Locked = Pick<ObjectHead, 'lockedUntil' | 'lockMode'>;

/** @returns why an object is not locked as it should be, as a clause; `null` if it is. */
export function lockProblem({ lockedUntil, lockMode }: Locked, lock: ObjectLock): string | null {
  if (lockedUntil === null || lockMode === null) return 'the store does not report that it is locked';
  if (!covers(lockMode, lock.mode)) return `it is locked in the mode ${lockMode}, not ${lock.mode}`;
  return lockedUntil < lock.until ? `it is locked only until ${lockedUntil.toISOString()}` : null;
}

/** Nobody can bypass `COMPLIANCE`. */
const covers = (found: LockMode, wanted: LockMode): boolean => found === wanted || found === 'COMPLIANCE';

/** @throws SnapError `NOT_LOCKED` */
export function assertLocked(head: ObjectHead, lock: ObjectLock): void {
  const problem = lockProblem(head, lock);
  if (problem === null) return;
  throw new SnapError('NOT_LOCKED', `${head.key} should be locked (${describeLock(lock)}), but ${problem}`, {
    hint: 'the archive was not completed. Allow s3:GetObjectRetention, or use a store that supports Object Lock',
  });
}

/** Maximum number of objects that are looked up at the same time. */
const CONCURRENCY = 16;

/** @throws SnapError `NOT_LOCKED`; `DIFFERS` if an object is missing. */
export async function assertAllLocked(
  keys: readonly string[],
  lock: ObjectLock,
  store: Pick<ArchiveStore, 'head'>,
  signal: AbortSignal,
): Promise<void> {
  await inParallel(keys, CONCURRENCY, signal, async (key, working) => {
    const head = await store.head(key, { signal: working });
    if (head === null)
      throw new SnapError('DIFFERS', `${key}, which was just stored, is missing`, {
        hint: 'run the same command again',
      });
    assertLocked(head, lock);
  });
}
