/** What the page's script is given: the analysis, without what it does not show. */
import type { Analysis, Choice, Decision, SnapshotAnalysis, TrendMonth, VolumeAnalysis } from '../../costs/analysis.ts';
import type { Prices } from '../../costs/price-types.ts';
import { type CalculatorData, calculatorData } from './calculator.ts';
import { type Advice, adviceOf, bestOf } from './summary.ts';

export interface PageData {
  /** What ages are counted to. */
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

/** Keeping, and the best of the others: there are some twenty for each volume. */
export interface PageChoices {
  shown: Choice[];
  /** Place in `shown`. */
  best: number;
  /** How many more there are, none of which saves more. */
  others: number;
}

/** Of its choices only the best: all of them, of 20,000 snapshots, would be some 60 MB. */
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
