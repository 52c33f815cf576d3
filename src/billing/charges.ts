/** Totals of all charges for EBS snapshots in reports, for comparison with the costs that are shown. */
import type { SnapshotCharges } from '../costs/analysis.ts';
import type { Reading } from './usage.ts';

export class Charges {
  readonly #byCurrency = new Map<string, { storage: number; unexplained: number; others: Map<string, number> }>();

  add(reading: Reading): void {
    const { cost, currency } = reading;
    if (cost === null) return;
    const sums = this.#sumsOf(currency);
    if (reading.is === 'storage') sums.storage += cost;
    else if (reading.is === 'other') sums.others.set(reading.what, (sums.others.get(reading.what) ?? 0) + cost);
    else sums.unexplained += cost;
  }

  result(): SnapshotCharges[] {
    return [...this.#byCurrency].map(([currency, { storage, unexplained, others }]) => {
      const named = [...others].map(([what, cost]) => ({ what, cost })).sort((a, b) => b.cost - a.cost);
      const explained = storage + named.reduce((sum, { cost }) => sum + cost, 0);
      return { currency, inReport: explained + unexplained, explained, storage, others: named };
    });
  }

  #sumsOf(currency: string) {
    const known = this.#byCurrency.get(currency);
    if (known) return known;
    const made = { storage: 0, unexplained: 0, others: new Map<string, number>() };
    // A substring of a row keeps the text of its whole batch in memory; a copy does not.
    this.#byCurrency.set(Buffer.from(currency).toString(), made);
    return made;
  }
}

/** Adds up the charges of several files. */
export function addedUp(all: readonly SnapshotCharges[]): SnapshotCharges[] {
  return [...Map.groupBy(all, ({ currency }) => currency)].map(([currency, group]) => {
    const sumOf = (pick: (one: SnapshotCharges) => number) => group.reduce((sum, one) => sum + pick(one), 0);
    const others = [
      ...Map.groupBy(
        group.flatMap((one) => one.others),
        ({ what }) => what,
      ),
    ].map(([what, parts]) => ({ what, cost: parts.reduce((sum, { cost }) => sum + cost, 0) }));
    return {
      currency,
      inReport: sumOf(({ inReport }) => inReport),
      explained: sumOf(({ explained }) => explained),
      storage: sumOf(({ storage }) => storage),
      others,
    };
  });
}
