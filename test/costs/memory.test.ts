/** The memory of `analyze` grows with the number of snapshots, but not with the size of the report or of the output. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { writeLargeBill } from '../../bench/bill.ts';
import { measure } from '../../bench/measure.ts';
import type { Analysis } from '../../src/costs/analysis.ts';
import { NODE_FLAGS } from '../../src/lib/node-flags.ts';
import { runProgram, temporaryDirectory } from '../support/lab.ts';
import { build } from '../support/processes/built.ts';
import { fullOr } from '../support/sampled.ts';

/** With SNAP_TO_S3_FULL, ten million rows must be read in less than 300 MB. */
const SIZE = fullOr(
  'the report',
  { rows: 10_000_000, snapshots: 20_000, maxBytes: 300e6 },
  { rows: 600_000, snapshots: 10_000, maxBytes: 200e6 },
);

/** @returns the command that prints the whole analysis of a large report as JSON. */
async function analyzing(t: TestContext, size: { rows: number; snapshots: number }): Promise<string[]> {
  const built = build();
  t.after(() => built[Symbol.dispose]());
  const report = join(temporaryDirectory(t), 'report.csv.gz');
  await writeLargeBill(report, size);
  return [process.execPath, ...NODE_FLAGS, built.program, 'analyze', report, '--offline', '--quiet', '--json'];
}

test(`a report of ${SIZE.rows} rows`, async (t) => {
  const { peakMiB, stdout } = await measure(await analyzing(t, SIZE), process.env);
  const { regions } = JSON.parse(stdout.join('\n')) as Analysis;
  assert.equal(regions[0]?.snapshotCount, SIZE.snapshots);
  t.diagnostic(`${Math.round(peakMiB)} MiB at most`);
  assert.ok(peakMiB * 2 ** 20 < SIZE.maxBytes, `${peakMiB} MiB`);
});

test('a reader that stops early is not a failure, but a document that cannot be written is', async (t) => {
  const argv = await analyzing(t, { rows: 10_000, snapshots: 100 });
  for (const [script, code] of [
    ['set -o pipefail; "$@" | head -c 100 > /dev/null', 0],
    ['"$@" > /dev/full', 1],
  ] as const) {
    const done = await runProgram(['bash', '-c', script, 'bash', ...argv]);
    assert.equal(done.code, code, done.stderr);
  }
});
