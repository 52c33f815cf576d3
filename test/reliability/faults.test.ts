/**
 * docs/reliability.md tells the truth. A sample of its cells is tried; with SNAP_TO_S3_FULL all are, and with
 * SNAP_TO_S3_WRITE_DOCS the table is written anew from what was observed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addSnapshotOf } from '../support/disks.ts';
import { labForTest } from '../support/lab.ts';
import { type Cell, COMMANDS, cellsOf } from './matrix.ts';
import { callsOf, observe } from './observe.ts';
import { type Observations, place, readTable, writeTable } from './table.ts';

const WRITE = process.env['SNAP_TO_S3_WRITE_DOCS'] !== undefined;
const ALL = WRITE || process.env['SNAP_TO_S3_FULL'] !== undefined;

/** Cells that each run tries, at random, besides the full form. */
const SAMPLE = 16;

test('faults have the outcomes that are documented', { concurrency: ALL ? 3 : 1 }, async (t) => {
  const { image } = await addSnapshotOf(await labForTest(t));
  const cells: Cell[] = [];
  for (const command of COMMANDS) cells.push(...cellsOf(command, await callsOf(t, command, image)));
  const documented = readTable();
  if (!WRITE) assert.deepEqual([...documented.keys()].sort(), cells.map(place).sort(), 'the table has all cells');
  const observed: Observations = new Map();
  const chosen = ALL ? cells : cells.toSorted(() => Math.random() - 0.5).slice(0, SAMPLE);
  await Promise.all(
    chosen.map((cell) =>
      t.test(place(cell), async (inner) => {
        const outcome = await observe(inner, cell, image);
        observed.set(place(cell), outcome);
        if (!WRITE) assert.equal(outcome, documented.get(place(cell)));
      }),
    ),
  );
  if (WRITE) writeTable(observed);
});
