/** Formats sizes, rates and durations. Sizes are binary (KiB, MiB, ...), as in the AWS console. */

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
export const TiB = 1024 * GiB;

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1536` → `1.5 KiB`. Shows at most three significant digits, and whole bytes below 1 KiB. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** `3725` seconds → `1 h 02 min`. Shows the two largest units. */
export function formatDuration(totalSeconds: number): string {
  const whole = Math.max(0, Math.round(totalSeconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${two(Math.floor((whole % 86_400) / 3600))} h`;
}

/** Formats US dollars with two decimals. Smaller amounts get as many as they need, down to `<$0.0001`. */
export function formatDollars(amount: number): string {
  const digits = decimals(Math.abs(amount));
  return digits === null ? '<$0.0001' : `$${amount.toFixed(digits)}`;
}

/** Returns the decimals for an amount of money; `null` if it is practically zero. */
export function decimals(amount: number): number | null {
  if (amount === 0 || amount >= 0.01) return 2;
  return amount < 0.0001 ? null : amount < 0.001 ? 5 : 4;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** `1 file`, `2 files`. */
export const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
