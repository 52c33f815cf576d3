/** Evaluates the choices for a set of snapshots. */

import { count } from '../lib/units.ts';
import type { Choice, Decision } from './analysis.ts';
import type { Move } from './archiving/moves.ts';
import type { GenerationBounds } from './archiving/points.ts';
import { type MoveRange, moveBetween, type Target } from './archiving/targets.ts';
import type { Range } from './lineage.ts';
import { DAYS_A_MONTH } from './prices.ts';

/** A set of snapshots that could be moved. */
export interface Plan {
  scope: 'one' | 'all' | 'all-but-latest';
  snapshots: number;
  volumeGiB: number;
  /** The sum of the GiB that each of the snapshots refers to. */
  full: Range;
  /** What incremental archives of the set would store; `null` if it has only one snapshot, or no known order. */
  generations: GenerationBounds | null;
  /** A clause about the change between the snapshots. */
  change: string;
  /** The monthly cost that remains after the snapshots are deleted. */
  stays: Range;
  /** The current monthly cost of the snapshots whose bill changes. */
  bill: number;
  /** Whether the plan may become the best choice. */
  isAdvisable: boolean;
}

interface Weights {
  targets: readonly Target[];
  today: string;
  keepMonths: number;
}

interface Weighed {
  choice: Choice;
  /** The saving over `keepMonths`, less the one-time cost. */
  value: number;
  isAdvisable: boolean;
  change: string;
}

/**
 * @param monthly monthly cost of keeping everything.
 * @param obstacle why nothing can be moved; `null` if something can be.
 * @param caution why the plans are not advisable; `null` if they are.
 */
export function weigh(
  monthly: number,
  plans: readonly Plan[],
  weights: Weights,
  obstacle: string | null,
  caution: string | null = null,
): Decision {
  const others = plans.flatMap((plan) => choicesOf(plan, monthly, weights)).sort((a, b) => b.value - a.value);
  const choices = [keep(monthly), ...others.map(({ choice }) => choice)];
  const best = bestIn(others);
  const reason = obstacle ?? reasonFor(others, best, caution, weights);
  return { choices, best: best === undefined ? 0 : others.indexOf(best) + 1, reason };
}

/** Full archives do not depend on each other, and can hold files; incremental ones must be worth at least 5 % more. */
const WORTH_MORE = 1.05;

/** @param others the best ones first. */
function bestIn(others: readonly Weighed[]): Weighed | undefined {
  const good = others.filter(({ isAdvisable, value }) => isAdvisable && value > 0);
  const [first] = good;
  if (first?.choice.form !== 'incremental') return first;
  const full = good.find(({ choice: { what, form } }) => what === 's3' && form === 'full');
  return full && full.value * WORTH_MORE >= first.value ? full : first;
}

const keep = (monthly: number): Choice => ({
  what: 'keep',
  storageClass: null,
  form: null,
  storedGiB: 0,
  monthly,
  oneOff: 0,
  minimumDays: 0,
  restore: { cost: 0, takes: 'not needed' },
  saving: 0,
  savingIs: 'exact',
  breakEven: null,
});

function choicesOf(plan: Plan, monthly: number, weights: Weights): Weighed[] {
  return weights.targets.flatMap((target) => {
    const full = { target, form: 'full', moves: moveBetween(target, plan, plan.full) } as const;
    const points = incrementalMoves(plan, target);
    const ways = points === null ? [full] : [full, { target, form: 'incremental', moves: points } as const];
    return ways.map((way) => weighOne(plan, way, monthly, weights));
  });
}

function incrementalMoves({ generations, volumeGiB }: Plan, { movePoints }: Target): MoveRange | null {
  if (generations === null || movePoints === null) return null;
  const { min, max } = generations;
  return {
    min: movePoints({ generations: min, volumeGiB }),
    max: movePoints({ generations: max, volumeGiB }),
  };
}

/** A way to archive the snapshots of a plan. */
interface Archiving {
  target: Target;
  form: 'full' | 'incremental';
  moves: MoveRange;
}

function weighOne(plan: Plan, { target, form, moves }: Archiving, monthly: number, weights: Weights): Weighed {
  const { min, max } = moves;
  const atLeast = plan.bill - plan.stays.max - max.monthly;
  const atMost = plan.bill - plan.stays.min - min.monthly;
  const isExact = atMost - atLeast <= 1e-9 * Math.max(1, Math.abs(atMost));
  // If the lower bound is not positive, the upper bound is shown.
  const isSure = isExact || atLeast > 0;
  const move = isSure ? max : min;
  const saving = isSure ? atLeast : atMost;
  const savingIs = isExact ? 'exact' : isSure ? 'lower-bound' : 'upper-bound';
  const { storedGiB, oneOff, minimumDays, restore, chain } = move;
  const breakEven = dayOf(oneOff, saving, weights.today);
  const choice: Choice = {
    ...{ what: target.what, storageClass: target.storageClass, form, storedGiB },
    ...{ monthly: monthly - saving, oneOff, minimumDays, restore, saving, savingIs, breakEven, scope: plan.scope },
    ...(chain === undefined ? {} : { chain }),
  };
  const isAdvisable = plan.isAdvisable && isSure;
  return { choice, value: worthOf(move, saving, weights.keepMonths), isAdvisable, change: plan.change };
}

/** The saving over `keepMonths`, less the one-time cost, and less the minimum duration that is billed beyond `keepMonths`. */
function worthOf({ monthly, oneOff, minimumDays }: Move, saving: number, keepMonths: number): number {
  const beyond = Math.max(0, minimumDays / DAYS_A_MONTH - keepMonths);
  return saving * keepMonths - oneOff - monthly * beyond;
}

const DAY = 86_400_000;
const MAX_DAYS = 100 * 365;

/** @returns the day on which the monthly saving has repaid the one-time cost; `null` if that takes over a hundred years. */
function dayOf(oneOff: number, saving: number, today: string): string | null {
  if (saving <= 0) return null;
  const days = Math.ceil((oneOff / saving) * DAYS_A_MONTH);
  return days > MAX_DAYS ? null : new Date(Date.parse(today) + days * DAY).toISOString().slice(0, 10);
}

function reasonFor(
  others: readonly Weighed[],
  best: Weighed | undefined,
  caution: string | null,
  { keepMonths }: Weights,
): string {
  if (best) {
    const { choice } = best;
    const most = `${nameOf(choice)} saves the most over ${count(keepMonths, 'month')}${scopeOf(choice)}`;
    return `${most}${formOf(best, others)}${boundOf(choice)}`;
  }
  const isSaving = ({ choice }: Weighed) => choice.saving > 0;
  if (caution !== null && others.some((other) => !other.isAdvisable && isSaving(other))) return caution;
  if (others.some((other) => isSaving(other) && other.choice.savingIs === 'upper-bound')) return UNCERTAIN;
  return others[0]?.choice.scope === 'one' ? SHARED : `${CHANGES}: ${others[0]?.change}`;
}

const UNCERTAIN =
  'a move may not save anything: blocks that other snapshots refer to are still billed, and their size is unknown';
const SHARED = 'a full archive costs more than the blocks for which only this snapshot is billed';
const CHANGES = 'neither full nor incremental archives save more than moving these snapshots costs';

/** Why the archives are incremental; or why they are full, although they could be incremental. */
function formOf({ choice: { form, what }, change }: Weighed, others: readonly Weighed[]): string {
  if (form === 'incremental') return `; archives are incremental: ${change}`;
  const hadChoice = what === 's3' && others.some(({ choice }) => choice.form === 'incremental');
  return hadChoice ? `; incremental archives would not save 5% more: ${change}` : '';
}

const boundOf = ({ savingIs }: Choice): string =>
  savingIs === 'lower-bound'
    ? '; the saving may be larger, because the size of the blocks that other snapshots refer to is not known exactly'
    : '';

const nameOf = ({ what, storageClass }: Choice): string =>
  what === 'ebs-archive' ? 'the EBS archive tier' : `S3 ${storageClass}`;

const scopeOf = ({ scope }: Choice): string =>
  scope === 'all-but-latest' ? ', for all but the latest snapshot, on which the next one builds' : '';
