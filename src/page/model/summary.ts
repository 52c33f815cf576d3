/** Sums over an analysis, for the headline and for the rows of the tables. */
import type { Choice, Decision, RegionAnalysis, SnapshotAnalysis, VolumeAnalysis } from '../../costs/analysis.ts';
import { sum } from '../../lib/sum.ts';

/** The certainty of a sum of savings; `mixed`: it contains upper bounds and lower bounds. */
export type Certainty = Choice['savingIs'] | 'mixed';

/** The recommendation for the snapshots of a volume. Amounts are in the currency of the region. */
export interface Advice {
  /** `null`: not enough data for a recommendation; `several`: a separate recommendation for each snapshot. */
  choice: Choice | 'several' | null;
  /** Number of snapshots to move. */
  moved: number;
  /** Saving per month. */
  saving: number;
  savingIs: Certainty;
  /** One-time cost of moving. */
  oneOff: number;
  /** The latest day on which the move has paid off; `null` if never, or nothing is moved. */
  breakEven: string | null;
  reason: string;
}

type Judged = Pick<VolumeAnalysis, 'decision'> & {
  snapshots: readonly Pick<SnapshotAnalysis, 'decision' | 'tier' | 'images'>[];
};

/** Uses the decision for all snapshots of the volume or, if there is none, the decisions for its single snapshots. */
export function adviceOf({ decision, snapshots }: Judged): Advice {
  if (decision !== null) return ofChoice(bestOf(decision), decision.reason, snapshots);
  const judged = snapshots.flatMap((snapshot) => (snapshot.decision === null ? [] : [snapshot.decision]));
  const moving = judged.map(bestOf).filter(({ what }) => what !== 'keep');
  const [first] = judged;
  if (first === undefined) return nothing(null, 'The report does not contain enough data for a recommendation.');
  if (moving.length === 0) return nothing(bestOf(first), first.reason);
  return {
    choice: 'several',
    moved: moving.length,
    saving: sum(moving.map(({ saving }) => saving)),
    savingIs: combined(moving.map(({ savingIs }) => savingIs)),
    oneOff: sum(moving.map(({ oneOff }) => oneOff)),
    breakEven: latest(moving.map(({ breakEven }) => breakEven)),
    reason: 'Its snapshots could only be evaluated one by one.',
  };
}

export function bestOf({ choices, best }: Decision): Choice {
  const choice = choices[best];
  if (choice === undefined) throw new RangeError(`a decision with ${choices.length} choices has no choice ${best}`);
  return choice;
}

const ofChoice = (choice: Choice, reason: string, snapshots: Judged['snapshots']): Advice =>
  choice.what === 'keep'
    ? nothing(choice, reason)
    : {
        choice,
        moved: movedBy(choice, snapshots),
        saving: choice.saving,
        savingIs: choice.savingIs,
        oneOff: choice.oneOff,
        breakEven: choice.breakEven,
        reason,
      };

/** Snapshots that images use, and snapshots in the archive tier, are not moved. */
function movedBy({ scope }: Choice, snapshots: Judged['snapshots']): number {
  const movable = snapshots.filter(({ tier, images }) => tier === 'standard' && images.length === 0);
  const staysLatest = scope === 'all-but-latest' && movable.at(-1) === snapshots.at(-1);
  return movable.length - (staysLatest ? 1 : 0);
}

const nothing = (choice: Choice | null, reason: string): Advice => ({
  choice,
  moved: 0,
  saving: 0,
  savingIs: 'exact',
  oneOff: 0,
  breakEven: null,
  reason,
});

/** A sum is as certain as its least certain part. */
function combined(parts: readonly Certainty[]): Certainty {
  const bounds = new Set(parts.filter((part) => part !== 'exact'));
  if (bounds.size > 1) return 'mixed';
  return [...bounds][0] ?? 'exact';
}

/** ISO dates sort as text. A missing day means never. */
const latest = (days: readonly (string | null)[]): string | null =>
  days.includes(null) ? null : (days.toSorted().at(-1) ?? null);

/** The total of all regions that are billed in one currency. */
export interface Total {
  currency: string;
  monthly: number;
  gib: number;
  volumeCount: number;
  snapshotCount: number;
  saving: number;
  savingIs: Certainty;
  /** The saving by the certainty of its parts. */
  savingParts: Record<Choice['savingIs'], number>;
  oneOff: number;
  moved: number;
}

/** @returns a total for each currency, the highest cost first. */
export function totalsOf(regions: readonly RegionAnalysis[]): Total[] {
  const currencies = [...new Set(regions.map(({ currency }) => currency))];
  return currencies
    .map((currency) =>
      totalOf(
        currency,
        regions.filter((region) => region.currency === currency),
      ),
    )
    .sort((a, b) => b.monthly - a.monthly);
}

export function totalOf(currency: string, regions: readonly RegionAnalysis[]): Total {
  const advices = regions.flatMap(({ volumes }) => volumes.map(adviceOf)).filter(({ moved }) => moved > 0);
  const savingOf = (certainty: Certainty) =>
    sum(advices.filter(({ savingIs }) => savingIs === certainty).map(({ saving }) => saving));
  return {
    currency,
    monthly: sum(regions.map(({ monthly }) => monthly)),
    gib: sum(regions.map(({ gib }) => gib)),
    volumeCount: sum(regions.map(({ volumes }) => volumes.length)),
    snapshotCount: sum(regions.map(({ snapshotCount }) => snapshotCount)),
    saving: sum(advices.map(({ saving }) => saving)),
    savingIs: combined(advices.map(({ savingIs }) => savingIs)),
    savingParts: {
      exact: savingOf('exact'),
      'upper-bound': savingOf('upper-bound'),
      'lower-bound': savingOf('lower-bound'),
    },
    oneOff: sum(advices.map(({ oneOff }) => oneOff)),
    moved: sum(advices.map(({ moved }) => moved)),
  };
}
