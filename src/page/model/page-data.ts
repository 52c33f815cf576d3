/** What the page's script is given: the analysis, without what it does not show. */
import type { Analysis, Choice, Decision, SnapshotAnalysis, TrendMonth, VolumeAnalysis } from '../../costs/analysis.ts';
import { type Advice, adviceOf, bestOf } from './summary.ts';

export interface PageData {
  /** What ages are counted to. */
  latestDay: string;
  trend: TrendMonth[];
  volumes: PageVolume[];
}

export interface PageVolume extends Omit<VolumeAnalysis, 'snapshots'> {
  region: string;
  currency: string;
  advice: Advice;
  snapshots: PageSnapshot[];
}

/** Of its choices only the best: all of them, of 20,000 snapshots, would be some 60 MB. */
export interface PageSnapshot extends Omit<SnapshotAnalysis, 'decision'> {
  best: Pick<Choice, 'what' | 'storageClass' | 'form' | 'saving' | 'savingIs'> | null;
}

export function pageData({ basis, trend, regions }: Analysis): PageData {
  const volumes = regions.flatMap(({ region, currency, volumes: inRegion }) =>
    inRegion.map((volume) => ({
      ...volume,
      region,
      currency,
      advice: adviceOf(volume),
      snapshots: volume.snapshots.map(({ decision, ...snapshot }) => ({ ...snapshot, best: bestChoice(decision) })),
    })),
  );
  return { latestDay: basis.latestDay, trend, volumes };
}

function bestChoice(decision: Decision | null): PageSnapshot['best'] {
  if (decision === null) return null;
  const { what, storageClass, form, saving, savingIs } = bestOf(decision);
  return { what, storageClass, form, saving, savingIs };
}
