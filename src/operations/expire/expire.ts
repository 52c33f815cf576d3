/** The operation `expire`: removes archives that no rule keeps, in two steps with a period of grace between them. */
import { EXIT, type ExitCode, SnapError } from '../../errors.ts';
import type { PlannedExpiry } from '../../events.ts';
import { failureOfOne } from '../../lib/failure-of-one.ts';
import { sumOrNull } from '../../lib/sum.ts';
import { bucketPrices } from '../shared/bucket-prices.ts';
import type { Services } from '../shared/services.ts';
import type { ExpireSettings } from '../shared/settings/expire.ts';
import { storeClock } from '../shared/store-clock.ts';
import { verdictOf } from '../sharing/run-each.ts';
import { expireLineage } from './expire-lineage.ts';
import { dueAfter, type ExpiryContext } from './expiry-context.ts';
import { costsOf } from './expiry-costs.ts';
import { lineagesIn } from './lineage.ts';
import { type LineagePlan, type PlannedArchive, planLineage } from './plan-lineage.ts';
import { sweepClaims } from './sweep-claims.ts';

interface Tally {
  kept: number;
  expiring: number;
  notJudged: number;
  bytes: number;
  dollarsMonth: (number | null)[];
  earlyDollars: (number | null)[];
  done: string[];
  errors: SnapError[];
}

/**
 * Shows for each archive whether and why it is kept, and what its removal frees. With `settings.remove`, it marks archives
 * that no rule keeps, and removes those that were marked before the period of grace.
 * @returns `EXIT.nothingToDo` if every archive is kept, `EXIT.someFailed` if a volume could not be processed, or was left
 *   alone because a manifest cannot be read.
 * @throws SnapError `BUCKET`, `ACCESS_DENIED`, and other errors of the store.
 */
export async function expire(settings: ExpireSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  const clock = await storeClock(services.store, signal);
  const { prices, note } = await bucketPrices(services, signal);
  const context: ExpiryContext = { settings, services, signal, clock, prices };
  const none = { kept: 0, expiring: 0, notJudged: 0, bytes: 0 };
  const tally: Tally = { ...none, dollarsMonth: [], earlyDollars: [], done: [], errors: [] };
  for await (const lineage of lineagesIn(settings, services, signal)) {
    const plan = planLineage(lineage, settings.keep);
    showPlan(plan, tally, context);
    if (settings.remove && isWork(plan)) await carryOut(plan, tally, context);
  }
  if (settings.remove) await sweepClaims(context);
  const { kept, expiring, notJudged, bytes } = tally;
  services.host.notify({
    code: 'expire.finished',
    isDryRun: !settings.remove,
    ...{ kept, expiring, notJudged, bytes, failed: tally.errors.length },
    dollarsMonth: sumOrNull(tally.dollarsMonth),
    earlyDollars: sumOrNull(tally.earlyDollars),
    priceNote: note,
  });
  if (tally.errors.length > 0) return verdictOf(tally.done, tally.errors);
  return expiring === 0 ? EXIT.nothingToDo : EXIT.ok;
}

const isWork = ({ obstacle, archives }: LineagePlan): boolean =>
  obstacle === null &&
  archives.some(
    ({ archive, decision }) =>
      decision === 'expire' || decision === 'expired' || archive.mark !== null || archive.strays.length > 0,
  );

async function carryOut({ volumeId }: LineagePlan, tally: Tally, context: ExpiryContext): Promise<void> {
  try {
    await expireLineage(volumeId, context);
    tally.done.push(volumeId);
  } catch (thrown) {
    noteFailure(volumeId, failureOfOne(thrown), tally, context);
  }
}

function noteFailure(volume: string, error: SnapError, tally: Tally, { services }: ExpiryContext): void {
  tally.errors.push(error);
  services.host.notify({ code: 'expiry.failed', volume, error });
}

function showPlan(plan: LineagePlan, tally: Tally, context: ExpiryContext): void {
  for (const planned of plan.archives) {
    const shown = describe(plan.volumeId, planned, context);
    if (shown.decision === 'keep') tally.kept++;
    else if (shown.decision === 'not-judged') tally.notJudged++;
    else {
      tally.expiring++;
      tally.bytes += shown.frees.bytes;
      tally.dollarsMonth.push(shown.frees.dollarsMonth);
      tally.earlyDollars.push(shown.frees.earlyDollars);
    }
    context.services.host.notify({ code: 'expiry.planned', snapshot: shown.snapshot, expiry: shown });
  }
  if (plan.obstacle === null) return;
  const error = new SnapError('MANIFEST', `nothing of ${plan.volumeId} is removed: ${plan.obstacle}`, {
    hint: 'restore the manifest from an earlier version of the object, or use the version of the program that wrote it',
  });
  noteFailure(plan.volumeId, error, tally, context);
}

function describe(
  volume: string,
  { archive, decision, reasons, neededBy, frees }: PlannedArchive,
  { settings, clock, prices }: ExpiryContext,
): PlannedExpiry {
  const { id: snapshot, startTime, mark, lockedUntil } = archive;
  return {
    snapshot,
    volume,
    startTime: startTime.toISOString(),
    decision,
    reasons: [...reasons],
    markedAt: mark?.markedAt ?? null,
    dueAt: decision === 'expire' && mark ? dueAfter(mark.markedAt, settings).toISOString() : null,
    lockedUntil: lockedUntil !== null && lockedUntil > clock() ? lockedUntil.toISOString() : null,
    neededBy: [...neededBy],
    frees: costsOf(frees, clock(), prices),
  };
}
