/** Long suites run a sample of their cases by default, and all of them with SNAP_TO_S3_FULL (`npm run test:full`). */
import assert from 'node:assert/strict';

export const FULL = process.env['SNAP_TO_S3_FULL'] !== undefined;

/**
 * Selects the middle case of each group, because the first case is often trivial. Prints the selection.
 * @throws Error if nothing is selected, because a suite without cases proves nothing.
 */
export function oneIn<T>(count: number, cases: readonly T[]): T[] {
  const selected = FULL ? [...cases] : cases.filter((_, index) => index % count === Math.floor(count / 2));
  assert.ok(selected.length > 0, `one in ${count} of ${cases.length} cases is none`);
  if (selected.length < cases.length) say(`${selected.length} of ${cases.length} cases: ${namesOf(selected)}`);
  return selected;
}

/** @throws Error for a name that is not among the cases. */
export function named<T>(names: readonly string[], cases: Readonly<Record<string, T>>): [string, T][] {
  const missing = names.filter((name) => !(name in cases));
  assert.deepEqual(missing, [], `the cases are ${Object.keys(cases).join(', ')}`);
  const selected = Object.entries(cases).filter(([name]) => FULL || names.includes(name));
  assert.ok(selected.length > 0, 'no case was named');
  const total = Object.keys(cases).length;
  if (selected.length < total)
    say(`${selected.length} of ${total} cases: ${selected.map(([name]) => name).join(', ')}`);
  return selected;
}

/** Selects `count` random cases. Prints the seed and the selection. */
export function randomOf<T>(count: number, cases: readonly T[]): T[] {
  if (FULL) return [...cases];
  const random = seededRandom();
  const drawn = cases.map((one) => ({ one, place: random() })).sort((a, b) => a.place - b.place);
  const selected = drawn.slice(0, count).map(({ one }) => one);
  assert.ok(selected.length > 0, 'no case was selected');
  say(`${selected.length} of ${cases.length} cases: ${namesOf(selected)}`);
  return selected;
}

/** Returns a size or number of a test, which is smaller without SNAP_TO_S3_FULL. Prints what it would be otherwise. */
export function fullOr<T>(what: string, full: T, reduced: T): T {
  if (FULL) return full;
  say(`${what}: ${textOf(reduced)}, in full ${textOf(full)}`);
  return reduced;
}

/** Returns a function that chooses a whole number from `min` up to, but not including, `max`. Prints the seed. */
export function seededIntegers(): (min: number, max: number) => number {
  const random = seededRandom();
  return (min, max) => min + Math.floor(random() * (max - min));
}

/** Returns a generator (mulberry32) of reproducible numbers from 0 to 1. Prints the seed; SNAP_TO_S3_SEED sets it. */
export function seededRandom(): () => number {
  let state = Number(process.env['SNAP_TO_S3_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
  say(`random choices: SNAP_TO_S3_SEED=${state}`);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const LONGEST_NAME = 60;

const namesOf = (cases: readonly unknown[]): string => cases.map(nameOf).join('; ');

function nameOf(value: unknown): string {
  if (Array.isArray(value) && typeof value[0] === 'string' && value[0] !== '') return value[0];
  return textOf(value);
}

function textOf(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME)}…` : text;
}
