/** Decides by the rules which archives of a volume to keep, and why. */
import { type KeepRules, PERIODS, type Period } from '../shared/settings/expire.ts';

/** An archive as the rules see it. */
export interface DatedArchive {
  readonly id: string;
  /** When the snapshot was started. */
  readonly startTime: Date;
  /** Whether the snapshot had a tag. */
  hasTag(wanted: KeepRules['tags'][number]): boolean;
}

/**
 * @param archives the complete archives of one volume, in any order.
 * @returns the reasons for keeping each archive, by id. Archives without a reason are missing. The latest archive always
 *   has one.
 */
export function reasonsToKeep(archives: readonly DatedArchive[], rules: KeepRules): Map<string, string[]> {
  const latestFirst = archives.toSorted(
    (a, b) => b.startTime.getTime() - a.startTime.getTime() || (a.id < b.id ? 1 : -1),
  );
  const reasons = new Map<string, string[]>();
  const keep = ({ id }: DatedArchive, reason: string) => {
    const known = reasons.get(id);
    if (known) known.push(reason);
    else reasons.set(id, [reason]);
  };
  const [latest] = latestFirst;
  if (!latest) return reasons;
  keep(latest, 'the latest of its volume');
  for (const [at, archive] of latestFirst.slice(0, rules.last).entries()) keep(archive, ofMany('last', at, rules.last));
  for (const period of PERIODS) keepLatestOfEach(period, rules.periods[period], latestFirst, keep);
  for (const archive of latestFirst) {
    if (rules.within !== null && secondsBetween(archive, latest) <= rules.within)
      keep(archive, `within ${duration(rules.within)} of the latest`);
    for (const tag of rules.tags) if (archive.hasTag(tag)) keep(archive, `tag ${nameOfTag(tag)}`);
  }
  return reasons;
}

const ofMany = (rule: string, at: number, many: number): string => `${rule} (${at + 1} of ${many})`;

function keepLatestOfEach(
  period: Period,
  many: number,
  latestFirst: readonly DatedArchive[],
  keep: (archive: DatedArchive, reason: string) => void,
): void {
  const seen = new Set<string>();
  for (const archive of latestFirst) {
    const name = NAMES[period](archive.startTime);
    if (seen.has(name) || seen.size === many) continue;
    keep(archive, ofMany(`${period} ${name}`, seen.size, many));
    seen.add(name);
  }
}

/** The names of periods in UTC, such as `2026-11-30` for a day. Weeks begin on Mondays. */
const NAMES: Record<Period, (time: Date) => string> = {
  hourly: (time) => `${time.toISOString().slice(0, 13)}:00`,
  daily: (time) => time.toISOString().slice(0, 10),
  weekly: isoWeek,
  monthly: (time) => time.toISOString().slice(0, 7),
  yearly: (time) => time.toISOString().slice(0, 4),
};

const DAY = 24 * 60 * 60 * 1000;

/** For example `2026-W49`. A week belongs to the year of its Thursday (ISO 8601). */
function isoWeek(time: Date): string {
  const midnight = Math.floor(time.getTime() / DAY) * DAY;
  const daysAfterMonday = (new Date(midnight).getUTCDay() + 6) % 7;
  const thursday = new Date(midnight + (3 - daysAfterMonday) * DAY);
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / DAY / 7) + 1;
  return `${year}-W${String(week).padStart(2, '0')}`;
}

const secondsBetween = (earlier: DatedArchive, later: DatedArchive): number =>
  (later.startTime.getTime() - earlier.startTime.getTime()) / 1000;

/** In the largest unit that is exact, such as `30d`. */
function duration(seconds: number): string {
  const [unit, length] = UNITS.find(([, many]) => seconds % many === 0) ?? ['s', 1];
  return `${seconds / length}${unit}`;
}

const UNITS: readonly [string, number][] = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
];

const nameOfTag = ({ key, value }: KeepRules['tags'][number]): string => (value === null ? key : `${key}=${value}`);
