/** The clock of the store, for the age of AWS resources: the clock of this machine may be wrong. */
import type { ArchiveStore } from '../../cloud/ports.ts';
import { monotonic } from '../../lib/clock.ts';

export type StoreClock = () => Date;

/**
 * Reads the time of S3 once, and adds the time that has passed on the monotonic clock of this machine. The clock of EC2
 * is assumed to agree with that of S3.
 * @throws SnapError as `ArchiveStore.check` does.
 */
export async function storeClock(store: ArchiveStore, signal: AbortSignal): Promise<StoreClock> {
  const { answeredAt } = await store.check({ signal });
  const since = monotonic();
  return () => new Date(answeredAt.getTime() + monotonic() - since);
}

/** Seconds since an instant; at least 0, because S3 truncates its times to whole seconds. */
export const ageIn = (clock: StoreClock, instant: Date): number =>
  Math.max(0, (clock().getTime() - instant.getTime()) / 1000);
