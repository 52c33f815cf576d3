/** The figures in docs/development/performance.md were measured with the current code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MEASURED_CODE, measuredCode, recordedCode } from '../../bench/record.ts';

for (const section of Object.keys(MEASURED_CODE)) {
  test(`${section}: the figures are those of the current code`, (t) => {
    const recorded = recordedCode(section);
    if (recorded === null) return t.diagnostic('no measurement is on record');
    assert.equal(recorded, measuredCode(section), 'out of date: see docs/development/performance.md');
  });
}
