/**
 * What a row of a report says about the storage of a snapshot.
 * Sources: "EBS usage types in AWS billing reports" of the EBS user guide; "Billing data" columns of the Data Exports guide.
 */
import type { ColumnName, Layout } from './columns.ts';

/** A value as CSV or Parquet holds it. */
export type Cell = string | number | bigint | Date | null | undefined;

export interface Usage {
  tier: 'standard' | 'archive';
  /** As the report has it, usually an ARN; empty where the report has none. */
  resource: string;
  region: string;
  account: string;
  currency: string;
  /** GB-months. */
  amount: number;
  /** `null` where the report has no costs. */
  cost: number | null;
  /** Milliseconds since the epoch. */
  start: number;
  end: number;
}

/** Why a row that concerns snapshots, or may do so, cannot be used. */
export interface Broken {
  broken: string;
}

/** Reads a column of the row at hand. */
export type CellOf = (column: ColumnName) => Cell;

/** @returns `null` for rows of other things: instances, volumes, requests, taxes, credits. */
export function readUsage(cell: CellOf, layout: Layout): Usage | Broken | null {
  const tier = tierOf(cell, layout);
  if (tier === null || !isUsage(cell, layout)) return null;
  const [start, end] = periodOf(cell);
  const amount = numberOf(cell('amount'));
  const cost = costOf(cell, layout, amount);
  if (Number.isNaN(amount)) return { broken: `the amount ${shown(cell('amount'))} is not a number` };
  if (Number.isNaN(cost)) return { broken: `the cost ${shown(cell('cost'))} is not a number` };
  if (!(start < end)) return { broken: `${shown(cell('start') ?? cell('interval'))} is not the start of a period` };
  return {
    tier,
    amount,
    cost,
    start,
    end,
    resource: textOf(cell('resource')),
    region: textOf(cell('region')),
    account: textOf(cell('account')),
    currency: textOf(cell('currency')) || 'USD',
  };
}

const STORAGE = /(?:^|-)EBS:Snapshot(Usage|ArchiveStorage)$/;

function tierOf(cell: CellOf, { places }: Layout): Usage['tier'] | null {
  if (places.usageType !== undefined) {
    const [, kind] = STORAGE.exec(textOf(cell('usageType'))) ?? [];
    if (kind === undefined) return null;
    return kind === 'Usage' ? 'standard' : 'archive';
  }
  return tierByDescription(cell);
}

const SNAPSHOT = /(^|\/)snap-[0-9a-f]+$/;

/** FOCUS 1.2 has no usage types; what it has are the resource, the unit and a sentence. */
function tierByDescription(cell: CellOf): Usage['tier'] | null {
  const description = textOf(cell('description'));
  const isSnapshot = SNAPSHOT.test(textOf(cell('resource'))) || /snapshot/i.test(description);
  if (!isSnapshot || !/^GB-?Mo/i.test(textOf(cell('unit')))) return null;
  if (/retriev|early.?delet|direct ?api/i.test(description)) return null;
  return /archive/i.test(description) ? 'archive' : 'standard';
}

/** Taxes, credits, refunds and corrections are about money, not about what is stored. */
function isUsage(cell: CellOf, { places }: Layout): boolean {
  if (places.lineType !== undefined && textOf(cell('lineType')) !== 'Usage') return false;
  return places.chargeClass === undefined || textOf(cell('chargeClass')) === '';
}

function costOf(cell: CellOf, { places }: Layout, amount: number): number | null {
  if (places.cost !== undefined && textOf(cell('cost')) !== '') return numberOf(cell('cost'));
  if (places.rate === undefined || textOf(cell('rate')) === '') return null;
  return numberOf(cell('rate')) * amount;
}

function periodOf(cell: CellOf): [number, number] {
  const [start, end] = [instantOf(cell('start')), instantOf(cell('end'))];
  if (!Number.isNaN(start) && !Number.isNaN(end)) return [start, end];
  const [from = '', to = ''] = textOf(cell('interval')).split('/');
  return [instantOf(from), instantOf(to)];
}

const INSTANT = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?:Z| ?UTC|\+00:?00)?)?$/;

/** A report has few instants, and each of them many times. */
const INSTANTS = new Map<string, number>();
const MOST_INSTANTS = 10_000;

/** Times without a zone are UTC, as all of AWS's bills. @returns `NaN` for what is none. */
function instantOf(value: Cell): number {
  if (value instanceof Date) return value.getTime();
  const text = textOf(value);
  const known = INSTANTS.get(text);
  if (known !== undefined) return known;
  const found = INSTANT.exec(text);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] =
    found?.slice(1).map((part) => Number(part ?? 0)) ?? [];
  const instant = found ? Date.UTC(year, month - 1, day, hour, minute, second) : Number.NaN;
  if (INSTANTS.size >= MOST_INSTANTS) INSTANTS.clear();
  INSTANTS.set(text, instant);
  return instant;
}

function numberOf(value: Cell): number {
  if (typeof value === 'number') return value;
  const text = textOf(value);
  const number = text === '' ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : Number.NaN;
}

/** Some loaders write the word NULL for what is not there. */
function textOf(value: Cell): string {
  if (typeof value === 'string') return value === 'NULL' ? '' : value;
  return value === null || value === undefined ? '' : String(value);
}

const shown = (value: Cell): string => JSON.stringify(textOf(value).slice(0, 60));
