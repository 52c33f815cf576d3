/** A value of a report, as CSV or Parquet holds it. */
import { parseInstant } from '../lib/instant.ts';
import type { ColumnName } from './columns.ts';

export type Cell = string | number | bigint | Date | null | undefined;

/** Reads a column of the current row. */
export type CellOf = (column: ColumnName) => Cell;

/** Some tools write the word NULL for missing values. */
export function textOf(value: Cell): string {
  if (typeof value === 'string') return value === 'NULL' ? '' : value;
  return value === null || value === undefined ? '' : String(value);
}

/** `Number` would also accept other notations, such as `0x10`, and read spaces as 0. */
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** @returns `NaN` if the value is not a decimal number. */
export function numberOf(value: Cell): number {
  if (typeof value === 'number') return value;
  const text = textOf(value).trim();
  const number = DECIMAL.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : Number.NaN;
}

/** Cache: a report contains few different instants, each of them many times. */
const INSTANTS = new Map<string, number>();
const MAX_INSTANTS = 10_000;

/** Times without an offset are UTC, as in all AWS bills. @returns milliseconds since the epoch; `NaN` if not a time. */
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
