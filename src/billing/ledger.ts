/**
 * Adds up the rows about snapshots while reports are read, in any order.
 *
 * Storage is billed per day: in hourly reports too, the hour before midnight (UTC) contains the whole day, so the GiB of a
 * day are its GB-months times the number of days in the month. The size billed for a snapshot changes when neighboring
 * snapshots are deleted, so the latest day counts, and only the last few days are kept for each snapshot.
 */
import type { TrendMonth } from '../costs/analysis.ts';
import { ANY_SNAPSHOT_ID } from '../lib/aws-names.ts';
import { dayName, dayOf, daysCovered, daysInMonth, monthName, monthOf } from './days.ts';
import { ReportPart } from './report-part.ts';
import type { Usage } from './usage.ts';

/** A snapshot, in one tier and currency, as it was billed on the latest complete day of its region. */
export interface BilledSnapshot {
  /** Empty if the report has no resource ids; the record is then the total of the region. */
  id: string;
  region: string;
  /** The owner; empty if unknown. */
  account: string;
  currency: string;
  tier: 'standard' | 'archive';
  gib: number;
  /** Cost of a whole month at the rate of that day; `null` if the report has no costs. */
  monthly: number | null;
}

export interface Billed {
  snapshots: BilledSnapshot[];
  trend: TrendMonth[];
  /** Empty if no row was about a snapshot. */
  firstDay: string;
  latestDay: string;
  /** Whether later days were skipped because their data was incomplete. */
  hasIncompleteDays: boolean;
}

/** The snapshots that count; an empty list selects all. */
export interface Wanted {
  regions: readonly string[];
  accounts: readonly string[];
}

/** How a file relates to the files before it. */
export interface Taken {
  /** The earlier file with exactly the same rows, which count once; `null` if there is none. */
  repeats: string | null;
  /** Whether other files already bill most of its snapshots for the same days, so that a bill counts twice. */
  isOverlapping: boolean;
}

interface Entry {
  day: number;
  /** GiB on that day. */
  gib: number;
  monthly: number | null;
}

interface Record {
  id: string;
  region: string;
  account: string;
  currency: string;
  tier: Usage['tier'];
  /** The last days for which it was billed, unordered. */
  days: Entry[];
}

type MonthTotal = Omit<TrendMonth, 'snapshotCount' | 'month'> & { number: number; ids: Set<string> };

/** Number of days kept per snapshot: enough for reports in any order, and for incomplete days. */
const KEPT_DAYS = 7;

export class Ledger {
  /** The records of each resource, as the report names it. */
  readonly #records = new Map<string, Record[]>();
  /** The totals of each month and currency. */
  readonly #trend: MonthTotal[] = [];
  /** Names of the counted files, by the fingerprint of their rows. */
  readonly #counted = new Map<string, string>();
  #firstDay = Number.POSITIVE_INFINITY;
  #latestDay = Number.NEGATIVE_INFINITY;
  readonly #wanted: Wanted;

  constructor(wanted: Wanted = { regions: [], accounts: [] }) {
    this.#wanted = wanted;
  }

  /** Begins a file. Its rows count when the file is taken. */
  part(name: string): ReportPart<Ledger> {
    return new ReportPart(name, new Ledger(this.#wanted));
  }

  /**
   * Counts a file that was read completely, unless a file with exactly the same rows was counted before: a copy, or the
   * same file in another compression. The part must not be used afterwards.
   */
  take(part: ReportPart<Ledger>): Taken {
    if (part.rows === 0) return { repeats: null, isOverlapping: false };
    const fingerprint = part.fingerprint();
    const repeats = this.#counted.get(fingerprint) ?? null;
    if (repeats !== null) return { repeats, isOverlapping: false };
    this.#counted.set(fingerprint, part.name);
    return { repeats, isOverlapping: this.#addAll(part.ledger) };
  }

  add(usage: Usage): void {
    const record = this.#recordOf(usage);
    if (!isWanted(record, this.#wanted)) return;
    const lastDay = dayOf(usage.end - 1);
    const month = monthOf(dayOf(usage.start));
    this.#firstDay = Math.min(this.#firstDay, dayOf(usage.start));
    this.#latestDay = Math.max(this.#latestDay, lastDay);
    this.#addToMonth(month, record, usage);
    const factor = daysInMonth(month) / daysCovered(usage.start, usage.end);
    const monthly = usage.cost === null ? null : usage.cost * factor;
    this.#addToDay(record, { day: lastDay, gib: usage.amount * factor, monthly });
  }

  /** @param today milliseconds since the epoch; AWS still adds to the reports of the last days. */
  result(today: number): Billed {
    const records = [...this.#records.values()].flat().filter((record) => isWanted(record, this.#wanted));
    const latest = latestDays(records, this.#latestDay, dayOf(today));
    const snapshots = records.flatMap((record) => {
      const entry = record.days.find(({ day }) => day === latest.get(record.region));
      return entry ? [{ ...identityOf(record), gib: entry.gib, monthly: entry.monthly }] : [];
    });
    const shown = Math.max(...latest.values(), Number.NEGATIVE_INFINITY);
    const isEmpty = records.length === 0;
    return {
      snapshots,
      trend: isEmpty ? [] : this.#trendOf(),
      firstDay: isEmpty ? '' : dayName(this.#firstDay),
      latestDay: isEmpty ? '' : dayName(shown),
      hasIncompleteDays: !isEmpty && shown < this.#latestDay,
    };
  }

  #recordOf(usage: Usage): Record {
    const key = usage.resource === '' ? `${usage.region} ${usage.account}` : usage.resource;
    const known = this.#records.get(key);
    const found = known?.find(({ tier, currency }) => tier === usage.tier && currency === usage.currency);
    if (found) return found;
    const record: Record = {
      ...resourceOf(usage),
      currency: apart(usage.currency),
      tier: usage.tier,
      days: [],
    };
    if (known) known.push(record);
    else this.#records.set(apart(key), [record]);
    return record;
  }

  #addToDay(record: Record, entry: Entry): void {
    const oldest = this.#latestDay - KEPT_DAYS;
    if (entry.day < oldest) return;
    const same = record.days.find(({ day }) => day === entry.day);
    if (same) {
      same.gib += entry.gib;
      same.monthly = same.monthly === null || entry.monthly === null ? null : same.monthly + entry.monthly;
      return;
    }
    const stale = record.days.findIndex(({ day }) => day < oldest);
    if (stale < 0) record.days.push(entry);
    else record.days[stale] = entry;
  }

  #addToMonth(month: number, record: Record, { amount, cost }: Usage): void {
    const total = this.#totalOf(month, record.currency);
    total.gib += amount;
    total.cost += cost ?? 0;
    if (record.id !== '') total.ids.add(record.id);
  }

  #totalOf(month: number, currency: string): MonthTotal {
    const known = this.#trend.find((one) => one.number === month && one.currency === currency);
    if (known) return known;
    const total = { number: month, currency, gib: 0, cost: 0, ids: new Set<string>() };
    this.#trend.push(total);
    return total;
  }

  /** @returns whether other files contain most of it already; a file contains each day of a snapshot once. */
  #addAll(other: Ledger): boolean {
    this.#firstDay = Math.min(this.#firstDay, other.#firstDay);
    this.#latestDay = Math.max(this.#latestDay, other.#latestDay);
    const days = { all: 0, known: 0 };
    for (const [key, records] of other.#records) {
      for (const record of records) {
        const known = this.#adopt(key, record);
        if (record.id === '') continue;
        days.all += record.days.length;
        days.known += known;
      }
    }
    for (const { number, currency, gib, cost, ids } of other.#trend) {
      const total = this.#totalOf(number, currency);
      total.gib += gib;
      total.cost += cost;
      for (const id of ids) total.ids.add(id);
    }
    return days.known > days.all / 2;
  }

  /** @returns the number of its days that were counted before. */
  #adopt(key: string, record: Record): number {
    const known = this.#records.get(key);
    const same = known?.find(({ tier, currency }) => tier === record.tier && currency === record.currency);
    if (!same) {
      if (known) known.push(record);
      else this.#records.set(key, [record]);
      return 0;
    }
    const before = new Set(same.days.map(({ day }) => day));
    for (const entry of record.days) this.#addToDay(same, entry);
    return record.days.filter(({ day }) => before.has(day)).length;
  }

  #trendOf(): TrendMonth[] {
    const months = this.#trend.toSorted((one, other) => one.number - other.number);
    return months.map(({ number, ids, ...total }) => ({
      month: monthName(number),
      ...total,
      snapshotCount: ids.size,
    }));
  }
}

const isWanted = ({ region, account }: Record, { regions, accounts }: Wanted): boolean =>
  (regions.length === 0 || regions.includes(region)) && (accounts.length === 0 || accounts.includes(account));

const identityOf = ({ id, region, account, currency, tier }: Record) => ({ id, region, account, currency, tier });

const ARN = new RegExp(`^arn:aws[a-z-]*:ec2:([a-z0-9-]+):(\\d*):snapshot/(${ANY_SNAPSHOT_ID})$`);

/** The account in an ARN is the owner, which is not always the account that pays. */
function resourceOf({ resource, region, account }: Usage): Pick<Record, 'id' | 'region' | 'account'> {
  const [, arnRegion, owner, arnId] = ARN.exec(resource) ?? [];
  const id = arnId ?? resource;
  return {
    id: apart(id),
    region: apart(arnRegion ?? (region || 'unknown region')),
    account: apart(owner || account),
  };
}

/** A substring of a row keeps the text of its whole batch in memory; a copy does not. */
function apart(text: string): string {
  const known = COPIES.get(text);
  if (known !== undefined) return known;
  const copy = Buffer.from(text).toString();
  if (text.length < SHORT && COPIES.size < MAX_COPIES) COPIES.set(copy, copy);
  return copy;
}

/** Cache of regions, accounts and currencies, which are the same for thousands of snapshots. */
const COPIES = new Map<string, string>();
const SHORT = 20;
const MAX_COPIES = 1000;

/** Number of recent days for which AWS still adds to reports. */
const GROWING = 3;

/** After this many days without charges, a region has no snapshots; before, its data may be late. */
const LATE = 2;

/** Minimum share of the snapshots of the previous day for a day to count although it may still grow. */
const COMPLETE = 0.9;

/** The latest complete day per region, because data of different regions arrives at different times. */
function latestDays(records: readonly Record[], latest: number, today: number): Map<string, number> {
  const found = new Map<string, number>();
  for (const [region, counts] of countsByRegion(records)) {
    const days = [...counts.keys()].filter((day) => day >= latest - GROWING - LATE).sort((a, b) => b - a);
    const day = days.find((candidate) => isWholeDay(candidate, counts, today)) ?? days[0];
    if (day !== undefined && day >= latest - GROWING) found.set(region, day);
  }
  return found;
}

function isWholeDay(day: number, counts: ReadonlyMap<number, number>, today: number): boolean {
  if (day < today - GROWING) return true;
  return day < today && (counts.get(day) ?? 0) >= (counts.get(day - 1) ?? 0) * COMPLETE;
}

function countsByRegion(records: readonly Record[]): Map<string, Map<number, number>> {
  const regions = new Map<string, Map<number, number>>();
  for (const { region, days } of records) {
    const counts = regions.get(region) ?? new Map<number, number>();
    for (const { day } of days) counts.set(day, (counts.get(day) ?? 0) + 1);
    regions.set(region, counts);
  }
  return regions;
}
