/** Returns the sum of the numbers; 0 if there are none. */
export const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** @returns `null` if one of the numbers is not known. */
export const sumOrNull = (numbers: readonly (number | null)[]): number | null =>
  numbers.includes(null) ? null : sum(numbers.map((number) => number ?? 0));
