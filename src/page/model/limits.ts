/** What can be asked of the calculator. */

export interface CalculatorState {
  region: string;
  snapshots: number;
  sizeGiB: number;
  /** Between two snapshots, per cent of the volume. */
  change: number;
  /** Plain bytes for each stored one. */
  compression: number;
}

/** Bounds of what can be asked: kept by the sliders, and by `startOf`. */
export const LIMITS = {
  snapshots: { least: 1, most: 365 },
  sizeGiB: { least: 1, most: 65_536 },
  change: { least: 0, most: 100 },
  compression: { least: 1, most: 10 },
} as const;

/** As near to a value as the bounds allow; the lower one for what is not a number. */
export function within(key: keyof typeof LIMITS, value: number): number {
  const { least, most } = LIMITS[key];
  return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : least;
}
