/**
 * Compares docs/development/reliability.md with observed outcomes of a random sample of its cells, or of all cells with
 * SNAP_TO_S3_FULL. SNAP_TO_S3_WRITE_DOCS, a regular expression, selects cells whose observed outcomes are written to
 * the document instead. With `.`, which selects all cells (`npm run reliability`), the document also records the day
 * and the fingerprint of the code.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { labForTest } from '../support/lab.ts';
import { FULL, randomOf } from '../support/sampled.ts';
import { type Cell, COMMANDS, cellsOf } from './matrix.ts';
import { callsOf, observe } from './observe.ts';
import { fingerprint, type Observations, place, readStamp, readTable, writeTable } from './table.ts';

const WRITE = process.env['SNAP_TO_S3_WRITE_DOCS'];

/** Number of random cells that a run tests without SNAP_TO_S3_FULL. */
const SAMPLE = 3;

test('faults have the documented outcomes', { concurrency: FULL || WRITE ? 3 : 1 }, async (t) => {
  const { image } = await addSnapshotOf(await labForTest(t));
  const cells: Cell[] = [];
  for (const command of COMMANDS) cells.push(...cellsOf(command, await callsOf(t, command, image)));
  const documented = readTable();
  if (WRITE === undefined)
    assert.deepEqual([...documented.keys()].sort(), cells.map(place).sort(), 'the table has all cells');
  const observed: Observations = new Map(cells.map((cell) => [place(cell), documented.get(place(cell)) ?? '']));
  const chosen = choose(cells);
  assert.ok(chosen.length > 0, `no cell is called ${WRITE}`);
  await Promise.all(
    chosen.map((cell) =>
      t.test(place(cell), async (inner) => {
        const outcome = await observe(inner, cell, image);
        observed.set(place(cell), outcome);
        if (WRITE === undefined) assert.equal(outcome, documented.get(place(cell)));
      }),
    ),
  );
  if (WRITE !== undefined) writeTable(observed, WRITE === '.' ? new Date().toISOString().slice(0, 10) : null);
});

/** A sample finds changes only by chance, so all cells must have been observed with the current code. */
test('all cells were tested with the current code', { skip: WRITE !== undefined }, () => {
  const stamp = readStamp();
  assert.ok(stamp, 'no run of all cells is on record: npm run reliability');
  assert.equal(stamp.fingerprint, fingerprint(), 'out of date: npm run reliability');
});

function choose(cells: Cell[]): Cell[] {
  if (WRITE !== undefined) return cells.filter((cell) => new RegExp(WRITE).test(place(cell)));
  const byPlace = new Map(cells.map((cell) => [place(cell), cell]));
  return randomOf(SAMPLE, [...byPlace.keys()]).flatMap((name) => byPlace.get(name) ?? []);
}
