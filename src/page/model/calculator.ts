/** The data of the calculator: the prices of each region, and the averages of the analysis as its initial state. */
import type { Analysis, VolumeAnalysis } from '../../costs/analysis.ts';
import { ASSUMED_CHANGE } from '../../costs/change-rate.ts';
import { compareToday } from '../../costs/compare.ts';
import type { CompareInput } from '../../costs/compare-model.ts';
import { compressionOf } from '../../costs/compression.ts';
import type { Prices } from '../../costs/price-types.ts';
import { sum } from '../../lib/sum.ts';
import { type CalculatorState, clamp } from './limits.ts';

export interface CalculatorData {
  /** A description of the prices. */
  prices: string;
  regions: RegionRates[];
  start: CalculatorState;
}

export interface RegionRates extends Pick<CompareInput, 'snapshotGbMonth' | 'options'> {
  region: string;
  currency: string;
  /** A note about the prices, e.g. that they are those of another region; otherwise `null`. */
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
  if (table === undefined) throw new Error(`the comparison for ${region} has no table`);
  const { snapshotGbMonth, options } = table.input;
  return { region, currency, note, snapshotGbMonth, options };
}

/** The initial state for an analysis without volumes, as in version 0. */
const DEFAULTS = { snapshots: 12, sizeGiB: 100, days: 1 };

/** The region with the highest cost, and the averages of its volumes, weighted by cost. */
function startOf({ regions, assumptions }: Analysis, prices: Prices): CalculatorState {
  const region = regions.find(({ region: name }) => name in prices.regions);
  const volumes = region?.volumes ?? [];
  const average = (value: (volume: (typeof volumes)[number]) => number | null, fallback: number): number => {
    const known = volumes.flatMap((volume) => ({ weight: volume.monthly, value: value(volume) ?? Number.NaN }));
    const counted = known.filter((item) => Number.isFinite(item.value));
    const weight = sum(counted.map((item) => item.weight));
    return weight > 0 ? sum(counted.map((item) => item.value * item.weight)) / weight : fallback;
  };
  return {
    region: region?.region ?? Object.keys(prices.regions)[0] ?? '',
    snapshots: clamp('snapshots', Math.round(average(({ snapshots }) => snapshots.length, DEFAULTS.snapshots))),
    sizeGiB: clamp('sizeGiB', Number(average(({ sizeGiB }) => sizeGiB, DEFAULTS.sizeGiB).toPrecision(2))),
    change: clamp('change', tenth(average(measuredChange, (assumptions.change ?? ASSUMED_CHANGE).percent))),
    days: clamp('days', tenth(average(({ change }) => change?.days ?? null, DEFAULTS.days))),
    compression: clamp(
      'compression',
      tenth(average((volume) => compressionOf(volume, assumptions).compression, assumptions.compression)),
    ),
  };
}

const measuredChange = ({ change }: Pick<VolumeAnalysis, 'change'>): number | null =>
  change?.is === 'measured' ? change.percent : null;

const tenth = (value: number): number => Math.round(value * 10) / 10;
