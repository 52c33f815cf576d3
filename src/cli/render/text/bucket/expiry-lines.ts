/** Events of `expire` as lines of text. */
import type { ExpiryEvent, FreedObjects, PlannedExpiry } from '../../../../events.ts';
import { count, formatBytes, formatDollars } from '../../../../lib/units.ts';
import { describeError, type EventOf, type Lines } from '../line.ts';

export const EXPIRY_LINES: Lines<ExpiryEvent> = {
  'expiry.planned': (event) => describePlanned(event.expiry),
  'expiry.marked': (event) => `marked; it may be removed from ${day(event.dueAt)} on`,
  'expiry.unmarked': () => 'a rule keeps it again: the mark was removed',
  'expiry.deferred': (event) => `not removed: ${event.reason}`,
  'expiry.removed': (event) => `removed ${describeFreed(event)}${describeNeed(event.neededBy)}`,
  'expiry.failed': (event) => `${event.volume}${describeError(event.error)}`,
  'expire.finished': describeEnd,
  'pin.refused': (event) => `this restore does not protect the archive from expire: ${event.reason}`,
};

const WORDS: Record<PlannedExpiry['decision'], string> = {
  keep: 'keep',
  expire: 'expire',
  expired: 'expired',
  'not-judged': 'leave',
};

/** The id of the snapshot precedes it. */
function describePlanned({ volume, startTime, decision, ...rest }: PlannedExpiry): string {
  const lock = rest.lockedUntil === null ? [] : [`locked until ${day(rest.lockedUntil)}`];
  const facts = [...rest.reasons, ...describeMark(decision, rest), ...lock, ...describeGain(decision, rest)];
  return `${volume}  ${startTime.slice(0, 16)}Z  ${WORDS[decision].padEnd(7)}  ${facts.join('; ')}`;
}

function describeMark(
  decision: PlannedExpiry['decision'],
  { markedAt, dueAt }: Pick<PlannedExpiry, 'markedAt' | 'dueAt'>,
) {
  if (decision === 'expire') return [dueAt === null ? 'no rule keeps it' : `marked, due ${day(dueAt)}`];
  return markedAt !== null && decision === 'keep' ? [`marked ${day(markedAt)}, which is to be undone`] : [];
}

function describeGain(
  decision: PlannedExpiry['decision'],
  { frees, neededBy }: Pick<PlannedExpiry, 'frees' | 'neededBy'>,
): string[] {
  if (decision !== 'expire' && decision !== 'expired') return [];
  const need = neededBy.length === 0 ? [] : [`${neededOf(neededBy)} needs its packs, which stay`];
  return [`frees ${describeFreed(frees)}`, ...need];
}

function describeFreed({ bytes, dollarsMonth, earlyDollars }: FreedObjects): string {
  const cost = dollarsMonth === null ? [] : [`${formatDollars(dollarsMonth)} per month`];
  const early =
    earlyDollars === null || earlyDollars < 0.01 ? [] : [`${formatDollars(earlyDollars)} early-deletion charge`];
  return [formatBytes(bytes), ...cost, ...early].join(', ');
}

const describeNeed = (neededBy: readonly string[]): string =>
  neededBy.length === 0 ? '' : `; its packs stay, because ${neededOf(neededBy)} needs them`;

const neededOf = ([first = '', ...others]: readonly string[]): string =>
  others.length === 0 ? first : `${first} or one of ${count(others.length, 'other')}`;

const day = (instant: string): string => `${instant.slice(0, 16)}Z`;

function describeEnd(event: EventOf<'expire.finished'>): string {
  const { kept, expiring, notJudged, isDryRun, priceNote } = event;
  const counts = `${count(kept, 'archive')} kept, ${expiring} to expire, ${notJudged} left alone`;
  const freed = expiring === 0 ? '' : `; their removal frees ${describeFreed({ ...event, objects: 0 })}`;
  const next = isDryRun && expiring > 0 ? '; --yes marks them, and removes those whose period of grace is over' : '';
  return `expire: ${counts}${freed}${next}${priceNote === null ? '' : `\n  ${priceNote}`}`;
}
