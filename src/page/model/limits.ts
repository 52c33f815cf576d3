/** The input of the calculator and its limits. */

export interface CalculatorState {
  region: string;
  snapshots: number;
  sizeGiB: number;
  /** Percentage of the volume that changes between two snapshots. */
  change: number;
  /** Days between two snapshots. */
  days: number;
  /** Plain bytes per stored byte. */
  compression: number;
}

/** The limits of the input, for the sliders and for `startOf`. */
export const LIMITS = {
  snapshots: { min: 1, max: 365 },
  sizeGiB: { min: 1, max: 65_536 },
  change: { min: 0, max: 100 },
  days: { min: 0.1, max: 366 },
  compression: { min: 1, max: 10 },
} as const;

/** Limits a value to the range of an input. @returns the minimum for a value that is not a number. */
export function clamp(key: keyof typeof LIMITS, value: number): number {
  const { min, max } = LIMITS[key];
  return Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : min;
}
