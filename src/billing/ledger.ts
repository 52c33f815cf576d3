/**
 * What reports say of snapshots, added up while their rows go by, in whatever order.
 *
 * Storage is billed by the day: in hourly reports too, the hour before midnight (UTC) holds the whole day, so that the GiB
 * of a day are its GB-months times the days of the month. What a snapshot is billed for moves when its neighbours are
 * deleted, so the latest day counts, and only of the last days anything is kept for each snapshot.
 */
import type { TrendMonth } from '../costs/analysis.ts';
import { dayName, dayOf, daysCovered, daysInMonth, monthName, monthOf } from './days.ts';
import { ReportPart } from './report-part.ts';
import type { Usage } from './usage.ts';

/** A snapshot, in one tier and currency, as it was billed on the latest complete day of its region. */
export interface BilledSnapshot {
  /** Empty where the report has no resource ids: then it is all that the region was billed for. */
  id: string;
  region: string;
  /** Its owner; empty where it is not known. */
  account: string;
  currency: string;
  tier: 'standard' | 'archive';
  gib: number;
  /** What a whole month like that day costs; `null` where the report has no costs. */
  monthly: number | null;
}

export interface Billed {
  snapshots: BilledSnapshot[];
  trend: TrendMonth[];
  /** Empty where no row was of a snapshot. */
  firstDay: string;
  latestDay: string;
  /** Whether later days were passed over, since they were not complete. */
  hasIncompleteDays: boolean;
}

/** Which snapshots count; empty lists are all. */
export interface Wanted {
  regions: readonly string[];
  accounts: readonly string[];
}

/** How a file went together with those before it. */
export interface Taken {
  /** The file that has the very same rows, which count once; `null` where there is none. */
  repeats: string | null;
  /** Whether most snapshots of its last days were billed for those days before: a bill counts twice. */
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
  /** The last days that it was billed for, in no order. */
  days: Entry[];
}

type MonthTotal = Omit<TrendMonth, 'snapshotCount' | 'month'> & { number: number; ids: Set<string> };

/** Days that are kept of each snapshot: room for reports that come in no order, and for days that are not complete. */
const KEPT_DAYS = 7;

export class Ledger {
  /** By the report's own name of the resource. */
  readonly #records = new Map<string, Record[]>();
  /** By month and currency. */
  readonly #trend: MonthTotal[] = [];
  /** Names of the files that have been counted, by what tells their rows apart. */
  readonly #counted = new Map<string, string>();
  #firstDay = Number.POSITIVE_INFINITY;
  #latestDay = Number.NEGATIVE_INFINITY;
  readonly #wanted: Wanted;

  constructor(wanted: Wanted = { regions: [], accounts: [] }) {
    this.#wanted = wanted;
  }

  /** A file that is about to be read; its rows go there, and count when it is taken. */
  part(name: string): ReportPart<Ledger> {
    return new ReportPart(name, new Ledger(this.#wanted));
  }

  /**
   * Counts a file that has been read to its end, unless one with the very same rows has been: a copy, or the same file
   * packed otherwise. The part must not be used any more.
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

  /** @param today milliseconds since the epoch: reports of the last days are still being filled. */
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

  /** @returns whether most of it was there already, from other files; one has each snapshot's day once. */
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

  /** @returns the number of its days that are known already. */
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

const ARN = /^arn:aws[a-z-]*:ec2:([a-z0-9-]+):(\d*):snapshot\/(snap-[0-9a-f]+)$/;

/** The account in an ARN is the owner's, which need not be who pays. */
function resourceOf({ resource, region, account }: Usage): Pick<Record, 'id' | 'region' | 'account'> {
  const [, arnRegion, owner, arnId] = ARN.exec(resource) ?? [];
  const id = arnId ?? resource;
  return {
    id: apart(id),
    region: apart(arnRegion ?? (region || 'unknown region')),
    account: apart(owner || account),
  };
}

/** A piece of a row holds the memory of all of the rows that it was read with; a copy does not. */
function apart(text: string): string {
  const known = COPIES.get(text);
  if (known !== undefined) return known;
  const copy = Buffer.from(text).toString();
  if (text.length < SHORT && COPIES.size < MAX_COPIES) COPIES.set(copy, copy);
  return copy;
}

/** Regions, accounts and currencies, which are the same for thousands of snapshots. */
const COPIES = new Map<string, string>();
const SHORT = 20;
const MAX_COPIES = 1000;

/** Days for which reports are still being filled. */
const GROWING = 3;

/** A region that is billed for nothing any more has lost all of its snapshots; before that, its data may be late. */
const LATE = 2;

/** Of a day that counts although it may grow: of the snapshots of the day before. */
const COMPLETE = 0.9;

/** Of each region, since data of different regions do not arrive together. */
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
