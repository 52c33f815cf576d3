/** The data for the script of the page: the parts of the analysis that the page shows. */
import type { Analysis, Choice, Decision, SnapshotAnalysis, TrendMonth, VolumeAnalysis } from '../../costs/analysis.ts';
import type { Prices } from '../../costs/price-types.ts';
import { type CalculatorData, calculatorData } from './calculator.ts';
import { type Advice, adviceOf, bestOf } from './summary.ts';

export interface PageData {
  /** The day from which ages are counted back. */
  latestDay: string;
  trend: TrendMonth[];
  volumes: PageVolume[];
  calculator: CalculatorData;
}

export interface PageVolume extends Omit<VolumeAnalysis, 'snapshots' | 'decision'> {
  region: string;
  currency: string;
  advice: Advice;
  choices: PageChoices | null;
  snapshots: PageSnapshot[];
}

/** The best of the choices of a volume, which are about twenty. */
export interface PageChoices {
  shown: Choice[];
  /** Index in `shown`. */
  best: number;
  /** Number of choices that are not shown, none of which saves more. */
  others: number;
}

/** A snapshot with its best choice only: all choices of 20,000 snapshots would be about 60 MB. */
export interface PageSnapshot extends Omit<SnapshotAnalysis, 'decision'> {
  best: Pick<Choice, 'what' | 'storageClass' | 'form' | 'saving' | 'savingIs'> | null;
}

export function pageData(analysis: Analysis, prices: Prices): PageData {
  const { basis, trend, regions } = analysis;
  const volumes = regions.flatMap(({ region, currency, volumes: inRegion }) =>
    inRegion.map(({ decision: ofSet, ...volume }) => ({
      ...volume,
      region,
      currency,
      advice: adviceOf({ ...volume, decision: ofSet }),
      choices: choicesOf(ofSet),
      snapshots: volume.snapshots.map(({ decision, ...snapshot }) => ({ ...snapshot, best: bestChoice(decision) })),
    })),
  );
  return { latestDay: basis.latestDay, trend, volumes, calculator: calculatorData(analysis, prices) };
}

const MAX_CHOICES = 9;

function choicesOf(decision: Decision | null): PageChoices | null {
  if (decision === null) return null;
  const { choices, best } = decision;
  const shown = choices.filter((_, index) => index < MAX_CHOICES || index === best);
  return { shown, best: shown.indexOf(bestOf(decision)), others: choices.length - shown.length };
}

function bestChoice(decision: Decision | null): PageSnapshot['best'] {
  if (decision === null) return null;
  const { what, storageClass, form, saving, savingIs } = bestOf(decision);
  return { what, storageClass, form, saving, savingIs };
}
