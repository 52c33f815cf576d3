/** The sample has the lowest ranks, and the newest point of each lineage of which it has a point. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LowestRanks } from '../../../../src/operations/drill/lowest-ranks.ts';
import type { FoundArchive } from '../../../../src/operations/reading/bucket/scan-bucket.ts';

const found = (id: string, day: number): FoundArchive => ({
  id,
  volumeId: 'vol-1',
  startTime: new Date(Date.UTC(2026, 0, day)),
  data: [],
  indexes: [],
  manifestKey: null,
  smallBytes: 0,
});

/** @param ranks the rank of the point of each day. */
function drawn(limit: number, ranks: readonly string[], lineage: (day: number) => string | null): string[] {
  const sample = new LowestRanks(limit);
  for (const [at, rank] of ranks.entries()) sample.add({ rank, found: found(`${at + 1}`, at + 1) }, lineage(at + 1));
  assert.equal(sample.count, ranks.length);
  return sample.lowest.map(({ found: { id } }) => id);
}

const one = () => 'vol-1';

test('other archives are selected by their ranks alone', () => {
  assert.deepEqual(
    drawn(2, ['c', 'a', 'd', 'b'], () => null),
    ['2', '4'],
  );
});

test('the newest point replaces the first one, or comes before it if it was selected, too', () => {
  assert.deepEqual(drawn(1, ['b', 'a', 'd'], one), ['3']);
  assert.deepEqual(drawn(2, ['b', 'a', 'd'], one), ['3', '2']);
  assert.deepEqual(drawn(2, ['c', 'a', 'b'], one), ['3', '2']);
  assert.deepEqual(drawn(3, ['c', 'a', 'b'], one), ['3', '2', '1']);
  assert.deepEqual(drawn(9, ['c', 'a', 'b'], one), ['3', '2', '1']);
});

test('each lineage has its own newest point, and no archive is selected twice', () => {
  const lineage = (day: number) => (day === 5 ? null : `${day % 2}`);
  assert.deepEqual(drawn(3, ['a', 'c', 'e', 'f', 'b'], lineage), ['3', '5', '4']);
  assert.deepEqual(drawn(9, ['a', 'c', 'e', 'f', 'b'], lineage), ['3', '5', '4', '1', '2']);
});
