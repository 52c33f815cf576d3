/**
 * `npm run test:unit` works as CONTRIBUTING.md describes: for any user, without root and without a lab. The whole suite
 * runs the unit tests here only.
 */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProgram, temporaryDirectory } from '../support/lab.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

test('unit tests pass for an ordinary user', async (t) => {
  const home = temporaryDirectory(t);
  chmodSync(home, 0o777);
  const argv = [...NOBODY, 'npm', '--prefix', ROOT, 'run', '--silent', 'test:unit'];
  const kept = Object.entries(process.env).filter(([name]) => /^(PATH|SNAP_TO_S3_(FULL|SEED))$/.test(name));
  const env = { ...Object.fromEntries(kept), HOME: home, TMPDIR: home, NODE_COMPILE_CACHE: join(home, 'compiled') };
  const done = await runProgram(argv, { env });
  const summary = Object.fromEntries(
    [...done.stdout.matchAll(/^ℹ (\w+) (\d+)$/gm)].map(([, name = '', count]) => [name, Number(count)]),
  );
  assert.equal(done.code, 0, done.stdout.slice(done.stdout.indexOf('failing tests')) + done.stderr);
  assert.ok((summary['tests'] ?? 0) > 200, done.stdout.slice(-500));
  assert.deepEqual([summary['pass'], summary['skipped']], [summary['tests'], 0]);
});
