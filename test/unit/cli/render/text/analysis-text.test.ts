/** The text of an analysis uses the singular for one of a kind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analysisText } from '../../../../../src/cli/render/text/analysis-text.ts';
import { sampleAnalysis } from '../../../../support/costs/sample-analysis.ts';

const analysis = sampleAnalysis({ volumes: 1, snapshots: 1, months: 1 });

test('one row of a report', () => {
  assert.ok(analysis.basis.kind === 'report');
  const rows = { ...analysis.basis.rows, read: 1, ofSnapshots: 1, understood: 1, broken: 0 };
  const text = analysisText({ ...analysis, basis: { ...analysis.basis, rows } });
  assert.match(text, /^As of \S+, from 1 row since /m);
  assert.match(text, /^1 row read, 1 understood\.$/m);
});

test('one request', () => {
  const basis = { kind: 'live' as const, latestDay: '2026-01-31', calls: { requests: 1, dollars: 0.01 } };
  assert.match(analysisText({ ...analysis, basis }), /from EC2 and 1 request to the EBS direct APIs/);
});
