/** What time it is by the clock of the store, which tells the age of what AWS has made: a host's clock may be wrong. */
import type { ArchiveStore } from '../../cloud/ports.ts';
import { monotonic } from '../../lib/clock.ts';

export type StoreClock = () => Date;

/**
 * Asks once; from then on, time passes by this machine's monotonic clock. EC2's clock is taken to agree with S3's.
 * @throws SnapError as `ArchiveStore.check`
 */
export async function storeClock(store: ArchiveStore, signal: AbortSignal): Promise<StoreClock> {
  const { answeredAt } = await store.check({ signal });
  const since = monotonic();
  return () => new Date(answeredAt.getTime() + monotonic() - since);
}

/** Seconds since an instant of the store's clock. Answers are dated in whole seconds, so that it could seem to be to come. */
export const ageIn = (clock: StoreClock, instant: Date): number =>
  Math.max(0, (clock().getTime() - instant.getTime()) / 1000);
