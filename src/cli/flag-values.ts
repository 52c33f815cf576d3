/** Values of flags, checked where they are read. */
import { InvalidArgumentError } from 'commander';
import { parseInstant } from '../lib/instant.ts';

export const wholeNumber =
  (lowest: number, highest: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < lowest || value > highest) {
      throw new InvalidArgumentError(`It must be a whole number from ${lowest} to ${highest}.`);
    }
    return value;
  };

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

/** `90`, `30m`, `12h`, `7d`: seconds. */
export function duration(text: string): number {
  const [, amount, unit = 's'] = /^(\d{1,6})([smhd]?)$/.exec(text) ?? [];
  if (amount === undefined) throw new InvalidArgumentError('It must be a time such as 90s, 30m, 12h or 7d.');
  return Number(amount) * SECONDS_IN[(unit === '' ? 's' : unit) as keyof typeof SECONDS_IN];
}

/** A day or an instant, in UTC unless it has an offset of its own. */
export function date(text: string): Date {
  const instant = parseInstant(text);
  if (Number.isNaN(instant)) {
    throw new InvalidArgumentError('It must be a date such as 2026-01-31 or 2026-01-31T10:00Z, in UTC by default.');
  }
  return new Date(instant);
}

export const matching =
  (pattern: RegExp, expected: string) =>
  (text: string): string => {
    if (!pattern.test(text)) throw new InvalidArgumentError(`It must be ${expected}.`);
    return text;
  };

/** For flags that take several values or may be given again. */
export const collect =
  (read: (text: string) => string) =>
  (text: string, previous: string[] | undefined): string[] => [...(previous ?? []), read(text)];
