/** What the removal of objects saves and costs. */
import type { ListedObject } from '../../cloud/ports.ts';
import type { RegionPrices } from '../../costs/price-types.ts';
import { DAYS_A_MONTH, MINIMUM_DAYS, storageMonth } from '../../costs/prices.ts';
import { sum, sumOrNull } from '../../lib/sum.ts';

export interface ExpiryCosts {
  readonly objects: number;
  readonly bytes: number;
  /** Monthly storage cost in US dollars at list prices; `null` if the price of a storage class is not known. */
  readonly dollarsMonth: number | null;
  /** What AWS charges for the rest of the minimum storage durations, in US dollars; `null` like `dollarsMonth`. */
  readonly earlyDollars: number | null;
}

const DAY = 24 * 60 * 60 * 1000;

/** @param at when the objects are removed, by the clock of the store. */
export function costsOf(objects: readonly ListedObject[], at: Date, prices: RegionPrices): ExpiryCosts {
  const months = objects.map((object) => storageMonth(object, prices));
  const early = objects.map(({ storageClass, modifiedAt }, index) => {
    const days = (at.getTime() - modifiedAt.getTime()) / DAY;
    const month = months[index] ?? null;
    return month === null ? null : (month * Math.max(0, (MINIMUM_DAYS[storageClass] ?? 0) - days)) / DAYS_A_MONTH;
  });
  const bytes = sum(objects.map((object) => object.bytes));
  return { objects: objects.length, bytes, dollarsMonth: sumOrNull(months), earlyDollars: sumOrNull(early) };
}
