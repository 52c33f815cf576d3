/** What the calculator knows: prices of each region, and what the bill looks like on average. */
import type { Analysis } from '../../costs/analysis.ts';
import { compareToday } from '../../costs/compare.ts';
import type { CompareInput } from '../../costs/compare-model.ts';
import { compressionOf } from '../../costs/compression.ts';
import type { Prices } from '../../costs/price-types.ts';
import { type CalculatorState, within } from './limits.ts';
import { sum } from './summary.ts';

export interface CalculatorData {
  /** What the prices are, for a reader. */
  prices: string;
  regions: RegionRates[];
  start: CalculatorState;
}

export interface RegionRates extends Pick<CompareInput, 'snapshotGbMonth' | 'options'> {
  region: string;
  currency: string;
  /** What is to be known of these prices, or `null`. */
  note: string | null;
}

export const calculatorData = (analysis: Analysis, prices: Prices): CalculatorData => ({
  prices: prices.note,
  regions: Object.keys(prices.regions)
    .sort()
    .map((region) => ratesOf(region, prices)),
  start: startOf(analysis, prices),
});

function ratesOf(region: string, prices: Prices): RegionRates {
  const settings = { region, snapshots: 1, sizeGiB: 1, changes: [], compressions: [1] };
  const { currency, note, tables } = compareToday(settings, prices);
  const [table] = tables;
  if (table === undefined) throw new Error(`nothing is compared in ${region}`);
  const { snapshotGbMonth, options } = table.input;
  return { region, currency, note, snapshotGbMonth, options };
}

/** What version 0 compared, for a bill without volumes. */
const USUAL = { snapshots: 12, sizeGiB: 100, change: 10 };

/** The region with the largest bill, and its volumes on average; each volume counts by what it costs. */
function startOf({ regions, assumptions }: Analysis, prices: Prices): CalculatorState {
  const region = regions.find(({ region: name }) => name in prices.regions);
  const volumes = region?.volumes ?? [];
  const average = (value: (volume: (typeof volumes)[number]) => number | null, usual: number): number => {
    const known = volumes.flatMap((volume) => ({ weight: volume.monthly, value: value(volume) ?? Number.NaN }));
    const counted = known.filter((item) => Number.isFinite(item.value));
    const weight = sum(counted.map((item) => item.weight));
    return weight > 0 ? sum(counted.map((item) => item.value * item.weight)) / weight : usual;
  };
  return {
    region: region?.region ?? Object.keys(prices.regions)[0] ?? '',
    snapshots: within('snapshots', Math.round(average(({ snapshots }) => snapshots.length, USUAL.snapshots))),
    sizeGiB: within('sizeGiB', Number(average(({ sizeGiB }) => sizeGiB, USUAL.sizeGiB).toPrecision(2))),
    change: within('change', Math.round(average(({ averageChange }) => averageChange, USUAL.change) * 10) / 10),
    compression: within(
      'compression',
      Math.round(average((volume) => compressionOf(volume, assumptions).compression, assumptions.compression) * 10) /
        10,
    ),
  };
}
