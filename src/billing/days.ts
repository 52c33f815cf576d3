/** Days and months of bills, in UTC, counted from January 1, 1970. */

export const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** @param instant milliseconds since the epoch. */
export const dayOf = (instant: number): number => Math.floor(instant / DAY);

/** Number of days that a period covers, at least one. */
export const daysCovered = (start: number, end: number): number => Math.max(1, (end - start) / DAY);

/** `2026-09-30` */
export const dayName = (day: number): string => new Date(day * DAY).toISOString().slice(0, 10);

/** Months counted from January 1970. */
export function monthOf(day: number): number {
  const date = new Date(day * DAY);
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

/** `2026-09` */
export const monthName = (month: number): string => dayName(firstDayOf(month)).slice(0, 7);

const firstDayOf = (month: number): number => Date.UTC(1970, month, 1) / DAY;

export const daysInMonth = (month: number): number => firstDayOf(month + 1) - firstDayOf(month);
