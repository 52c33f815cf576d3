/** The lab of a failed test is kept only on request. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { labDown } from '../../lab/control/manage.ts';
import { runProgram, temporaryDirectory } from '../support/lab.ts';
import { leftBehind } from '../support/machine-state.ts';

const SUPPORT = join(import.meta.dirname, '..', 'support');

const scenario = (end: string): string => `
  import { test } from 'node:test';
  import { addSnapshotOf } from '${join(SUPPORT, 'disks.ts')}';
  import { labForTest, runMigrate } from '${join(SUPPORT, 'lab.ts')}';
  test('a scenario', async (t) => {
    const lab = await labForTest(t);
    await addSnapshotOf(lab);
    await runMigrate(lab, ['--all']);
    ${end}
  });`;

/** @returns the finished scenario, and its directory for temporary files. */
async function runScenario(t: TestContext, end: string, keep: Record<string, string>) {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'scenario.test.ts');
  writeFileSync(file, scenario(end));
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory, TMPDIR: directory, ...keep };
  return { directory, env, done: await runProgram([process.execPath, '--test', file], { env }) };
}

const FAILS = "throw new Error('it fails');";

test('a kept lab serves the state of the test', async (t) => {
  const { directory, env, done } = await runScenario(t, FAILS, { SNAP_TO_S3_KEEP_LAB: 'failed' });
  const lab = /lab down --directory (\S+)/.exec(done.stdout)?.[1] ?? assert.fail(done.stdout + done.stderr);
  t.after(() => labDown(lab));
  assert.equal(done.code, 1, done.stdout);
  const [enter = '', list = '', status = '', leave = ''] = [...done.stdout.matchAll(/^ {2}((?:eval|node) .*)$/gm)].map(
    ([, command = '']) => command,
  );
  const run = async (...commands: string[]) =>
    runProgram(['bash', '-c', commands.join(' && ')], { env: { ...env, PATH: process.env['PATH'] ?? '' } });
  const listed = await run(enter, list);
  assert.equal(listed.code, 0, listed.stdout + listed.stderr);
  assert.match(listed.stdout, /complete {5}tar\.lz4/);
  assert.match((await run(status)).stdout, /^control +http/m);
  const left = await run(leave);
  assert.equal(left.code, 0, left.stderr);
  assert.deepEqual(leftBehind(directory), []);
});

for (const [name, end, keep] of [
  ['without a request', FAILS, {}],
  ['after a test that passes', '', { SNAP_TO_S3_KEEP_LAB: 'failed' }],
] as const) {
  test(`no lab is kept ${name}`, async (t) => {
    const { directory, done } = await runScenario(t, end, keep);
    assert.equal(done.code, end === '' ? 0 : 1, done.stdout);
    assert.doesNotMatch(done.stdout, /is kept/);
    assert.deepEqual(leftBehind(directory), []);
  });
}
