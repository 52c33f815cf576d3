/** Runs the npm scripts of all benchmarks and of the demo at their smallest sizes. They finish and print figures. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runProgram } from '../support/lab.ts';

const ROOT = join(import.meta.dirname, '..', '..');

const SCRIPTS = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> })
  .scripts;

/** The smallest arguments of each script, and texts in its output. */
const SMALLEST: Record<string, { argv: string[]; says: RegExp[] }> = {
  bench: {
    argv: ['--rounds', '1', '--warm-up', '0', '--tree', '4', '--disk', '16'],
    says: [
      /^tree, tar and lz4 -1 /m,
      /^tree, tar and zstd -1 /m,
      /^image, lz4 -1 /m,
      /^validate a tree, lz4 /m,
      /^restore a tree, lz4 /m,
      /^restore an image, lz4 /m,
      /^validate an image, lz4 /m,
    ],
  },
  'bench:direct': {
    argv: ['--rounds', '1', '--disk', '24', '--volume', '12', '--fresh', '400'],
    says: [/directly: \d+ times the speed of a fresh volume/, /our reader alone: [\d.]+ times the speed of a loop/],
  },
  'bench:growth': {
    argv: [
      ...['--gib', '1', '--data', '4', '--files', '50', '--archives', '5', '--snapshots', '3'],
      ...['--points', '3', '--volume', '1', '--written', '0.25'],
    ],
    says: [
      /migrate --dd, 1 GiB/,
      /migrate, 50 files/,
      /list, 5 archives/,
      /migrate --all --dry-run, 3 snapshots/,
      /list NEWEST, 3 points of 1 GiB/,
      /expire --dry-run, 3 points of 1 GiB/,
      /plan of a restore, oldest, 3 points of 1 GiB/,
    ],
  },
  'bench:incremental': {
    argv: ['--data', '8', '--points', '2', '--changes', '20'],
    says: [
      /^ +2 +3( +[\d.]+){4}$/m,
      /19 blocks are stored$/m,
      /incremental: [\d.]+ times the limit, [\d.]+ times full archives, [\d.]+ times restic/,
      /requests, full: .*GetSnapshotBlock \d+/,
      /, incremental: \$[\d.]+ for requests, \$[\d.]+ a month at the end/,
    ],
  },
  'bench:analyze': {
    argv: ['--rounds', '1', '--rows', '2000', '--snapshots', '20'],
    says: [/analyze takes [\d.]+ times as long as gzip/, /csv-parse alone takes [\d.]+ times/],
  },
  demo: {
    argv: ['--files', '8'],
    says: [/^partition 2: \d+ entries, 0 differences$/m, /^partition 3: \d+ entries, 0 differences$/m, /^nothing$/m],
  },
};

for (const [script, { argv, says }] of Object.entries(SMALLEST)) {
  test(`npm run ${script}`, async () => {
    const env = process.env as Record<string, string>;
    const done = await runProgram(['npm', 'run', '--silent', script, '--', ...argv], { env: withoutColor(env) });
    assert.equal(done.code, 0, done.stdout + done.stderr);
    for (const text of says) assert.match(done.stdout, text);
    assert.doesNotMatch(done.stdout, /NaN|undefined|Infinity/);
    assert.ok(!`${done.stdout}${done.stderr}`.includes('\u001b'), 'escape codes go to terminals only');
  });
}

/** FORCE_COLOR is removed, because it would request the colors that the test rejects. */
const withoutColor = ({ FORCE_COLOR: _asked, ...env }: Record<string, string>): Record<string, string> => env;

test('this file runs every npm script of benches and the demo, and documents name only existing scripts', () => {
  const tried = Object.keys(SCRIPTS).filter((name) => /^(bench|demo)/.test(name));
  assert.deepEqual(tried.sort(), Object.keys(SMALLEST).sort());
  const documents = globSync('{*.md,docs/**/*.md}', { cwd: ROOT });
  const named = documents.flatMap((path) =>
    [...readFileSync(join(ROOT, path), 'utf8').matchAll(/npm run (?:--\w+ )*([\w:-]+)/g)].map(([, name = '']) => name),
  );
  assert.deepEqual(
    [...new Set(named)].filter((name) => !(name in SCRIPTS)),
    [],
  );
});
