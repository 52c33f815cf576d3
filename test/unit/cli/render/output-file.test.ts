/** Output files in directories that other users can write to, such as /tmp. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeOutputFile } from '../../../../src/cli/render/output-file.ts';
import { temporaryDirectory } from '../../../support/lab.ts';

test('a link at the name of the unfinished file is not followed', (t) => {
  const directory = temporaryDirectory(t);
  const [victim, report] = [join(directory, 'victim'), join(directory, 'report.json')];
  writeFileSync(victim, 'precious');
  symlinkSync(victim, `${report}.${process.pid}.tmp`);
  writeOutputFile('--report', report, 'the report');
  assert.equal(readFileSync(victim, 'utf8'), 'precious');
  assert.equal(readFileSync(report, 'utf8'), 'the report');
  assert.deepEqual(readdirSync(directory).sort(), ['report.json', 'victim']);
});
