/** Runs `drill` with a scratch directory and both reports. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DrillReport } from '../../../src/events.ts';
import { BUCKET, type RunOptions, runCli, type TestLab } from '../lab.ts';

export async function runDrill(lab: TestLab, argv: readonly string[], options: RunOptions = {}) {
  const [scratch = '', report = '', html = ''] = ['scratch', 'drill.json', 'drill.html'].map((name) =>
    join(lab.directory, name),
  );
  mkdirSync(scratch, { recursive: true });
  const common = ['drill', '--bucket', BUCKET, '--scratch', scratch, '--report', report, '--html', html];
  const done = await runCli(lab.env, [...common, '--mount-point', join(lab.directory, 'mnt'), ...argv], options);
  assert.deepEqual(readdirSync(scratch), [], 'nothing is left of what was restored');
  return {
    ...done,
    said: done.stdout + done.stderr,
    report: JSON.parse(readFileSync(report, 'utf8')) as DrillReport,
    html: readFileSync(html, 'utf8'),
  };
}
