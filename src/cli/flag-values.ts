/** Parsers for the values of flags. They throw `InvalidArgumentError`, which commander reports with the flag. */
import { InvalidArgumentError } from 'commander';
import { parseInstant } from '../lib/instant.ts';
import type { WantedTag } from '../operations/shared/settings/archive-filter.ts';

/** A whole number in a range; both limits are allowed. */
export const wholeNumber =
  (lowest: number, highest: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < lowest || value > highest) {
      throw new InvalidArgumentError(`It must be a whole number from ${lowest} to ${highest}.`);
    }
    return value;
  };

/** A decimal number in a range; both limits are allowed. */
export const decimal =
  (lowest: number, highest: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+(\.\d+)?$/.test(text) || value < lowest || value > highest) {
      throw new InvalidArgumentError(`It must be a number from ${lowest} to ${highest}.`);
    }
    return value;
  };

const SECONDS_IN = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Parses `90`, `90s`, `30m`, `12h` or `7d`. @returns seconds. */
export function duration(text: string): number {
  const [, amount, unit = 's'] = /^(\d{1,6})([smhd]?)$/.exec(text) ?? [];
  if (amount === undefined) throw new InvalidArgumentError('It must be a duration such as 90s, 30m, 12h or 7d.');
  return Number(amount) * SECONDS_IN[(unit === '' ? 's' : unit) as keyof typeof SECONDS_IN];
}

/** Parses a date or a time, which is in UTC unless it has its own offset. */
export function date(text: string): Date {
  const instant = parseInstant(text);
  if (Number.isNaN(instant)) {
    throw new InvalidArgumentError(
      'It must be a date such as 2026-01-31 or 2026-01-31T10:00Z (default time zone: UTC).',
    );
  }
  return new Date(instant);
}

/** @param expected a noun phrase that follows "It must be". */
export const matching =
  (pattern: RegExp, expected: string) =>
  (text: string): string => {
    if (!pattern.test(text)) throw new InvalidArgumentError(`It must be ${expected}.`);
    return text;
  };

/** Collects the values of a flag that takes several values or can be repeated. */
export const collect =
  (read: (text: string) => string) =>
  (text: string, previous: string[] | undefined): string[] => [...(previous ?? []), read(text)];

/** Parses `KEY` or `KEY=VALUE`. */
export function wantedTag(text: string): WantedTag {
  const at = text.indexOf('=');
  return at < 0 ? { key: text, value: null } : { key: text.slice(0, at), value: text.slice(at + 1) };
}
