/** What all steps of an expiry need. */
import type { RegionPrices } from '../../costs/price-types.ts';
import type { Services } from '../shared/services.ts';
import type { ExpireSettings } from '../shared/settings/expire.ts';
import type { StoreClock } from '../shared/store-clock.ts';

export interface ExpiryContext {
  readonly settings: ExpireSettings;
  readonly services: Services;
  readonly signal: AbortSignal;
  readonly clock: StoreClock;
  /** Of the region of the bucket. */
  readonly prices: RegionPrices;
}

/** When an archive that was marked at this time may be removed. */
export const dueAfter = (markedAt: string, { grace }: ExpireSettings): Date =>
  new Date(Date.parse(markedAt) + grace * 1000);
