/** Limits the code that the program loads when it starts, because scripts may start it hundreds of times. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../../src/version.ts';
import { runCli, temporaryDirectory } from '../support/lab.ts';

/** Runs the program. @returns its output, and the loaded files, which Node lists in its coverage. */
async function start(t: TestContext, ...argv: string[]) {
  const coverage = temporaryDirectory(t);
  const done = await runCli({ PATH: process.env['PATH'] ?? '', NODE_V8_COVERAGE: coverage }, argv);
  const loaded = readdirSync(coverage).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(coverage, name), 'utf8')) as { result: { url: string }[] };
    return result.map(({ url }) => url).filter((url) => url.startsWith('file:'));
  });
  return { ...done, loaded: loaded.map((url) => fileURLToPath(url)) };
}

test('--version loads nothing but a few small files', async (t) => {
  const { code, stdout, stderr, loaded } = await start(t, '--version');
  assert.equal(code, 0, stderr);
  assert.equal(stdout, `${VERSION}\n`);
  assert.ok(loaded.length > 0 && loaded.length <= 3, loaded.join('\n'));
  assert.ok(loaded.every((path) => statSync(path).size < 4096));
});

const root = join(import.meta.dirname, '..', '..');

/** Returns the modules in a loaded file. Bundles name their modules in comments. */
const modulesIn = (path: string): string[] => {
  const named = [...readFileSync(path, 'utf8').matchAll(/^\/\/ ((?:src|lab|node_modules)\/\S+)$/gm)];
  return named.length > 0 ? named.map(([, name = '']) => name) : [relative(root, path)];
};

/** The modules that declare flags, and that print help and usage errors. */
const OF_HELP =
  /^(dist\/|node_modules\/commander\/|lab\/control\/|src\/(bin|errors|version)\.ts|src\/(archive|costs|lib)\/|src\/operations\/shared\/settings\/|src\/cli\/(?!render\/.*(screen|host)))/;

/** The maximum in bytes. With about 300 KB, Node takes three times as long to start as without any. */
const MAX_LOADED = 300_000;

const STARTS = [
  { argv: ['--help'], exit: 0 },
  { argv: ['migrate', '--help'], exit: 0 },
  { argv: ['restore', '--help-all'], exit: 0 },
  { argv: ['analyze', '--help'], exit: 0 },
  { argv: ['expire', '--help'], exit: 0 },
  { argv: ['migrate', '--bukket', 'b'], exit: 2 },
  { argv: ['list'], exit: 2 },
  { argv: ['migrate', '--bucket', 'backups', '--all', '--compression-level', '15'], exit: 2 },
  { argv: ['nosuch'], exit: 2 },
];

for (const { argv, exit } of STARTS) {
  test(`${argv.join(' ')} loads no operation, no screen and nothing of the AWS SDK`, async (t) => {
    const { code, stdout, stderr, loaded } = await start(t, ...argv);
    assert.equal(code, exit, stdout + stderr);
    const modules = loaded.flatMap(modulesIn);
    assert.deepEqual(
      modules.filter((name) => !OF_HELP.test(name)),
      [],
    );
    const bytes = loaded.reduce((sum, path) => sum + statSync(path).size, 0);
    assert.ok(bytes < MAX_LOADED, `${bytes} bytes in ${loaded.length} files`);
  });
}
