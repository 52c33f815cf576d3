/** Events of `clean` and `doctor` as lines of text. */
import type { UpkeepEvent } from '../../../events.ts';
import { count, formatDollars, formatDuration } from '../../../lib/units.ts';
import type { EventOf, Lines } from './line.ts';

export const UPKEEP_LINES: Lines<UpkeepEvent> = {
  'clean.found': describeLeftover,
  'clean.removed': (event) => `removed ${event.kind} ${event.id}`,
  'clean.finished': describeClean,
  'doctor.finding': describeFinding,
  'doctor.finished': (event) => describeDoctor(event),
};

function describeLeftover(event: EventOf<'clean.found'>): string {
  const age = event.ageSeconds === null ? [] : [`${formatDuration(event.ageSeconds)} old`];
  const cost = event.dollarsMonth === null ? [] : [`${formatDollars(event.dollarsMonth)} per month`];
  const facts = [event.what, ...age, ...cost].join(', ');
  const obstacle = event.obstacle === null ? '' : `\n  not removed: ${event.obstacle}`;
  return `${event.kind} ${event.id} (${facts})${obstacle}`;
}

function describeClean(event: EventOf<'clean.finished'>): string {
  const { found, removed, left, isDryRun } = event;
  if (found === 0) return 'clean: no leftovers found';
  const head = `clean: ${count(found, 'leftover')} found`;
  const cost = formatDollars(event.dollarsMonth);
  if (isDryRun) return `${head}, ${cost} per month; --yes would remove ${found - left}`;
  return `${head}, ${removed} removed; the remaining ${found - removed} cost ${cost} per month`;
}

function describeFinding({ check, verdict, detail, hint }: EventOf<'doctor.finding'>): string {
  return `${verdict.padEnd(8)} ${check}: ${detail}${hint === null ? '' : `\n  what to do: ${hint}`}`;
}

const describeDoctor = ({ warnings, problems }: EventOf<'doctor.finished'>): string =>
  problems === 0 && warnings === 0
    ? 'doctor: no problems found'
    : `doctor: ${count(problems, 'problem')}, ${count(warnings, 'warning')}`;
