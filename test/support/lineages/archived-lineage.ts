/** A small lineage whose snapshots are archived as points. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { SnapshotFixture } from '../../../lab/ec2/snapshots.ts';
import { labForTest, type RunOptions, runMigrate, type TestLab } from '../lab.ts';
import { type LineageSnapshot, type LineageStep, makeLineage } from './lineage.ts';

/** Archives all snapshots as points through the EBS direct APIs. */
export const INCREMENTAL = ['--all', '--incremental', '--source', 'direct', '--json'] as const;

const STEPS: readonly LineageStep[] = [
  { write: [0, 1, 2, 3, 10, 11, 500, 2047] },
  { write: [1, 11, 12] },
  { trim: [2, 3], writeZeros: [10], write: [500] },
];

/**
 * Archives three points, of which the later ones need packs of the earlier ones.
 * @param flags further flags of migrate. @param fixture settings of the snapshots.
 */
export async function archivedLineage(
  t: TestContext,
  flags: readonly string[] = [],
  options: RunOptions = {},
  fixture: Partial<SnapshotFixture> = {},
): Promise<{ lab: TestLab; points: LineageSnapshot[] }> {
  const lab = await labForTest(t);
  const points = await makeLineage(lab, STEPS, { tags: { 'snap-to-s3': 'migrate' }, ...fixture });
  const done = await runMigrate(lab, [...INCREMENTAL, ...flags], options);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  return { lab, points };
}
