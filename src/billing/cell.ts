/** A value of a report, as CSV or Parquet holds it. */
import { parseInstant } from '../lib/instant.ts';
import type { ColumnName } from './columns.ts';

export type Cell = string | number | bigint | Date | null | undefined;

/** Reads a column of the row at hand. */
export type CellOf = (column: ColumnName) => Cell;

/** Some loaders write the word NULL for what is not there. */
export function textOf(value: Cell): string {
  if (typeof value === 'string') return value === 'NULL' ? '' : value;
  return value === null || value === undefined ? '' : String(value);
}

/** @returns `NaN` for what is no number. */
export function numberOf(value: Cell): number {
  if (typeof value === 'number') return value;
  const text = textOf(value);
  const number = text === '' ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : Number.NaN;
}

/** A report has few instants, and each of them many times. */
const INSTANTS = new Map<string, number>();
const MAX_INSTANTS = 10_000;

/** Times without an offset are UTC, as in all of AWS's bills. @returns milliseconds since the epoch; `NaN` for what is none. */
export function instantOf(value: Cell): number {
  if (value instanceof Date) return value.getTime();
  const text = textOf(value);
  const known = INSTANTS.get(text);
  if (known !== undefined) return known;
  const instant = parseInstant(text);
  if (INSTANTS.size >= MAX_INSTANTS) INSTANTS.clear();
  INSTANTS.set(text, instant);
  return instant;
}

export const shown = (value: Cell): string => JSON.stringify(textOf(value).slice(0, 60));
