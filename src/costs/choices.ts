/** Evaluates the choices for a set of snapshots. */

import { sum } from '../lib/sum.ts';
import { count } from '../lib/units.ts';
import type { Choice, Decision } from './analysis.ts';
import type { Lineage, Range } from './lineage.ts';
import { DAYS_A_MONTH } from './prices.ts';
import { type Move, moveBetween, type Target } from './targets.ts';

/** A set of snapshots that could be moved. */
export interface Plan {
  scope: 'one' | 'all' | 'all-but-latest';
  snapshots: number;
  volumeGiB: number;
  /** The sum of the GiB that each of the snapshots refers to. */
  full: Range;
  /** The lineage, if the set could be stored as one full archive and incremental ones; otherwise `null`. */
  incremental: Lineage | null;
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
  const found = others.findIndex(({ isAdvisable, value }) => isAdvisable && value > 0);
  const reason = obstacle ?? reasonFor(others, others[found], caution, weights);
  return { choices, best: found + 1, reason };
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
    const full = weighOne(plan, { target, gib: plan.full, form: 'full' }, monthly, weights);
    if (!plan.incremental || target.what !== 's3') return [full];
    const { links, foreign } = plan.incremental;
    const changes = sum(links.map(({ gib }) => gib));
    const gib = { min: changes, max: changes + foreign };
    return [full, weighOne(plan, { target, gib, form: 'incremental' }, monthly, weights)];
  });
}

/** A way to archive the snapshots of a plan. */
interface Archiving {
  target: Target;
  gib: Range;
  form: 'full' | 'incremental';
}

function weighOne(plan: Plan, { target, gib, form }: Archiving, monthly: number, weights: Weights): Weighed {
  const { min, max } = moveBetween(target, plan, gib);
  const atLeast = plan.bill - plan.stays.max - max.monthly;
  const atMost = plan.bill - plan.stays.min - min.monthly;
  const isExact = atMost - atLeast <= 1e-9 * Math.max(1, Math.abs(atMost));
  // If the lower bound is not positive, the upper bound is shown.
  const isSure = isExact || atLeast > 0;
  const move = isSure ? max : min;
  const saving = isSure ? atLeast : atMost;
  const savingIs = isExact ? 'exact' : isSure ? 'lower-bound' : 'upper-bound';
  const { storedGiB, oneOff, minimumDays, restore } = move;
  const breakEven = dayOf(oneOff, saving, weights.today);
  const choice: Choice = {
    ...{ what: target.what, storageClass: target.storageClass, form, storedGiB },
    ...{ monthly: monthly - saving, oneOff, minimumDays, restore, saving, savingIs, breakEven, scope: plan.scope },
  };
  // Incremental archives are only for comparison: no command writes them.
  const isAdvisable = plan.isAdvisable && isSure && form === 'full';
  return { choice, value: worthOf(move, saving, weights.keepMonths), isAdvisable };
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
  if (best)
    return `${nameOf(best.choice)} saves the most over ${count(keepMonths, 'month')}${scopeOf(best.choice)}${boundOf(best.choice)}`;
  const isSaving = ({ choice }: Weighed) => choice.saving > 0 && choice.form === 'full';
  if (caution !== null && others.some((other) => !other.isAdvisable && isSaving(other))) return caution;
  if (others.some((other) => isSaving(other) && other.choice.savingIs === 'upper-bound')) return UNCERTAIN;
  return others[0]?.choice.scope === 'one' ? SHARED : CHANGES;
}

const UNCERTAIN =
  'a move may not save anything: blocks that other snapshots refer to are still billed, and their size is unknown';
const SHARED = 'a full archive costs more than the blocks for which only this snapshot is billed';
const CHANGES = 'full archives cost more than these snapshots, which are incremental';

const boundOf = ({ savingIs }: Choice): string =>
  savingIs === 'lower-bound'
    ? '; the saving may be larger, because the size of the blocks that other snapshots refer to is not known exactly'
    : '';

const nameOf = ({ what, storageClass }: Choice): string =>
  what === 'ebs-archive' ? 'the EBS archive tier' : `S3 ${storageClass}`;

const scopeOf = ({ scope }: Choice): string =>
  scope === 'all-but-latest' ? ', for all but the latest snapshot, on which the next one builds' : '';
