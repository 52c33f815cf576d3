/** What a start of the program loads: a script that runs it some hundred times pays for it each time. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../../src/version.ts';
import { runCli, temporaryDirectory } from '../support/lab.ts';

/** Runs the program. @returns what it printed, and the files that Node loaded for it, as its coverage lists them. */
async function start(t: TestContext, ...argv: string[]) {
  const coverage = temporaryDirectory(t);
  const done = await runCli({ PATH: process.env['PATH'] ?? '', NODE_V8_COVERAGE: coverage }, argv);
  assert.equal(done.code, 0, done.stderr);
  const loaded = readdirSync(coverage).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(coverage, name), 'utf8')) as { result: { url: string }[] };
    return result.map(({ url }) => url).filter((url) => url.startsWith('file:'));
  });
  return { stdout: done.stdout, loaded: loaded.map((url) => fileURLToPath(url)) };
}

test('--version loads nothing but a few small files', async (t) => {
  const { stdout, loaded } = await start(t, '--version');
  assert.equal(stdout, `${VERSION}\n`);
  assert.ok(loaded.length > 0 && loaded.length <= 3, loaded.join('\n'));
  assert.ok(loaded.every((path) => statSync(path).size < 4096));
});
