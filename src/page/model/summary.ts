/** What the numbers of an analysis come to: for the headline, and for the rows of the tables. */
import type { Choice, Decision, RegionAnalysis, SnapshotAnalysis, VolumeAnalysis } from '../../costs/analysis.ts';

/** How sure a sum of savings is; `mixed`: some of its parts are upper bounds, and others lower ones. */
export type Certainty = Choice['savingIs'] | 'mixed';

/** What is advised for a volume's snapshots. Money is in the currency of the region. */
export interface Advice {
  /** `null`: there was nothing to judge by; `several`: each snapshot by itself. */
  choice: Choice | 'several' | null;
  /** Snapshots that it moves. */
  moved: number;
  saving: number;
  savingIs: Certainty;
  oneOff: number;
  /** The latest day on which it has paid for itself; `null`: never, or nothing is moved. */
  breakEven: string | null;
  reason: string;
}

type Judged = Pick<VolumeAnalysis, 'decision'> & {
  snapshots: readonly Pick<SnapshotAnalysis, 'decision' | 'tier' | 'images'>[];
};

/** A set is judged as a set; only where that was not possible, by its snapshots, of which each was judged alone. */
export function adviceOf({ decision, snapshots }: Judged): Advice {
  if (decision !== null) return ofChoice(bestOf(decision), decision.reason, snapshots);
  const judged = snapshots.flatMap((snapshot) => (snapshot.decision === null ? [] : [snapshot.decision]));
  const moving = judged.map(bestOf).filter(({ what }) => what !== 'keep');
  const [first] = judged;
  if (first === undefined) return nothing(null, 'There is too little to judge by.');
  if (moving.length === 0) return nothing(bestOf(first), first.reason);
  return {
    choice: 'several',
    moved: moving.length,
    saving: sum(moving.map(({ saving }) => saving)),
    savingIs: combined(moving.map(({ savingIs }) => savingIs)),
    oneOff: sum(moving.map(({ oneOff }) => oneOff)),
    breakEven: latest(moving.map(({ breakEven }) => breakEven)),
    reason: 'Its snapshots could only be judged one by one.',
  };
}

export function bestOf({ choices, best }: Decision): Choice {
  const choice = choices[best];
  if (choice === undefined) throw new RangeError(`a decision has ${choices.length} choices, and ${best} is not one`);
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

/** Images keep theirs, and what is archived already stays there. */
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

/** A sum is as sure as its least sure part. */
function combined(parts: readonly Certainty[]): Certainty {
  const bounds = new Set(parts.filter((part) => part !== 'exact'));
  if (bounds.size > 1) return 'mixed';
  return [...bounds][0] ?? 'exact';
}

/** Days sort as they are written; one that is not there is never. */
const latest = (days: readonly (string | null)[]): string | null =>
  days.includes(null) ? null : (days.toSorted().at(-1) ?? null);

/** Of all regions billed in one currency. */
export interface Total {
  currency: string;
  monthly: number;
  gib: number;
  volumeCount: number;
  snapshotCount: number;
  saving: number;
  savingIs: Certainty;
  /** The saving by how sure its parts are. */
  savingParts: Record<Choice['savingIs'], number>;
  oneOff: number;
  moved: number;
}

/** By currency, the largest bill first. */
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

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
