/**
 * Parses points in time from flags, billing reports and keys. Parsing is strict, and UTC applies if there is no offset.
 */

const INSTANT =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z| ?UTC|[+-]\d{2}(?::?\d{2})?)?)?$/;

/**
 * Parses `2026-01-31`, `2026-01-31T10:00`, `2026-01-31 10:00:00+00` and similar forms. Unlike `Date.parse`, it never
 * assumes local time, and it rejects dates that do not exist, such as 30 February.
 *
 * @returns milliseconds since the epoch; `NaN` if the text has another form.
 */
export function parseInstant(text: string): number {
  const found = INSTANT.exec(text);
  if (!found) return Number.NaN;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map((part) => Number(part ?? 0)) as Parts;
  if (hour > 23 || minute > 59 || second > 59) return Number.NaN;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return Number.NaN;
  const milliseconds = Math.floor(Number(`0.${found[7] ?? '0'}`) * 1000);
  return date.setUTCHours(hour, minute, second, milliseconds) - offsetOf(found[8]);
}

type Parts = [number, number, number, number, number, number];

/** Returns the milliseconds by which a clock with this offset is ahead of UTC. */
function offsetOf(zone: string | undefined): number {
  const [, sign, hours, minutes = '0'] = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone ?? '') ?? [];
  if (sign === undefined) return 0;
  const ahead = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return sign === '+' ? ahead : -ahead;
}

/** Cuts off milliseconds, as S3 does in its times and as keys do. */
export const wholeSecond = (time: Date): Date => new Date(Math.floor(time.getTime() / 1000) * 1000);
