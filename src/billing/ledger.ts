/**
 * What reports say of snapshots, added up while their rows go by, in whatever order.
 *
 * Storage is billed by the day: in hourly reports too, the hour before midnight (UTC) holds the whole day, so that the GiB
 * of a day are its GB-months times the days of the month. What a snapshot is billed for moves when its neighbours are
 * deleted, so the latest day counts, and only of the last days anything is kept for each snapshot.
 */
import type { TrendMonth } from '../costs/analysis.ts';
import { dayName, dayOf, daysCovered, daysInMonth, monthName, monthOf } from './days.ts';
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

type MonthTotal = Omit<TrendMonth, 'snapshotCount' | 'month'> & { number: number; records: Set<Record> };

/** Days that are kept of each snapshot: room for reports that come in no order, and for days that are not complete. */
const KEPT_DAYS = 7;

export class Ledger {
  /** By the report's own name of the resource. */
  readonly #records = new Map<string, Record[]>();
  /** By month and currency. */
  readonly #trend: MonthTotal[] = [];
  #firstDay = Number.POSITIVE_INFINITY;
  #latestDay = Number.NEGATIVE_INFINITY;
  readonly #wanted: Wanted;

  constructor(wanted: Wanted = { regions: [], accounts: [] }) {
    this.#wanted = wanted;
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
    const known = this.#trend.find((one) => one.number === month && one.currency === record.currency);
    const total = known ?? { number: month, currency: record.currency, gib: 0, cost: 0, records: new Set<Record>() };
    if (!known) this.#trend.push(total);
    total.gib += amount;
    total.cost += cost ?? 0;
    total.records.add(record);
  }

  #trendOf(): TrendMonth[] {
    const months = this.#trend.toSorted((one, other) => one.number - other.number);
    return months.map(({ number, records, ...total }) => ({
      month: monthName(number),
      ...total,
      snapshotCount: new Set([...records].flatMap(({ id }) => id || [])).size,
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
  if (text.length < SHORT && COPIES.size < MOST_COPIES) COPIES.set(copy, copy);
  return copy;
}

/** Regions, accounts and currencies, which are the same for thousands of snapshots. */
const COPIES = new Map<string, string>();
const SHORT = 20;
const MOST_COPIES = 1000;

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
    const day = days.find((candidate) => isComplete(candidate, counts, today)) ?? days[0];
    if (day !== undefined && day >= latest - GROWING) found.set(region, day);
  }
  return found;
}

function isComplete(day: number, counts: ReadonlyMap<number, number>, today: number): boolean {
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
