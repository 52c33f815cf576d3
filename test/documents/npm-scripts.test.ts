/** Tests run every npm script, either here at its smallest size in a copy of the sources, or in the named file. */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, globSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join, matchesGlob, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Finished, runProgram, temporaryDirectory } from '../support/lab.ts';

const ROOT = join(import.meta.dirname, '..', '..');

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

/** The files that run scripts, and the texts in them that show it. */
const ELSEWHERE: Record<string, { file: string; says: string }> = {
  test: { file: '.ci/run', says: 'exec npm test' },
  check: { file: 'scripts/run-tests.ts', says: "['npm', 'run', '--silent', 'check']" },
  build: { file: 'scripts/run-tests.ts', says: "['npm', 'run', '--silent', 'build']" },
  'test:unit': { file: 'test/documents/test-unit.test.ts', says: "'test:unit'" },
};

/** `test/bench/bench.test.ts` fails unless it runs all scripts with these names. */
const IN_BENCH = /^(bench|demo)/;

/** Ignored files are not copied. */
const IGNORED = ['.git', ...readFileSync(join(ROOT, '.gitignore'), 'utf8').trim().split('\n')].flatMap((line) => {
  const pattern = line.replace(/\/$/, '');
  return [pattern, `**/${pattern}`];
});

interface Smallest {
  argv?: string[];
  env?: Record<string, string>;
  /** Prepares something for the script to do. @param copy a directory with all sources. */
  before?: (copy: string) => void;
  /** Checks the result. Afterwards, the sources must be the same as before `before`. */
  check: (done: Finished, copy: string) => void;
}

const API = 'docs/development/api.md';

/** A cell of the reliability table: the outcome of one fault in one command. */
const CELL = 'S3 | GetObject | connection reset | validate';

/** The slowest script comes first. */
const HERE: Record<string, Smallest> = {
  reliability: {
    env: { SNAP_TO_S3_WRITE_DOCS: `^${CELL.replaceAll('|', '\\|')}$` },
    check: ({ stdout }) => assert.ok(stdout.includes(`✔ ${CELL} (`), stdout),
  },
  format: {
    before: (copy) => appendFileSync(join(copy, 'src', 'bin.ts'), '\n\n\n'),
    check: ({ stdout, stderr }) => assert.match(stdout + stderr, /Fixed 1 file\./),
  },
  api: {
    before: (copy) => rmSync(join(copy, API)),
    check: () => {},
  },
  prepack: {
    check: (_done, copy) => assert.ok(globSync('dist/src/*.js', { cwd: copy }).includes('dist/src/bin.js')),
  },
  // The suite itself is part of every run of all tests.
  'test:rgw': {
    argv: ['--list'],
    check: ({ stdout }) => assert.deepEqual(stdout.trim().split('\n'), globSync('test/rgw/*.test.ts', { cwd: ROOT })),
  },
  'test:full': {
    argv: ['unit/sampled'],
    check: ({ stdout }) => assert.match(stdout, /ℹ pass [1-9]\d*\nℹ fail 0\n/),
  },
};

test('npm scripts that no other test runs', { concurrency: 2 }, async (t) => {
  await Promise.all(
    Object.entries(HERE).map(([script, smallest]) =>
      t.test(`npm run ${script}`, (inner) => runInCopy(inner, script, smallest)),
    ),
  );
});

async function runInCopy(t: TestContext, script: string, { argv = [], env = {}, ...smallest }: Smallest) {
  const home = temporaryDirectory(t);
  const copy = join(home, 'copy');
  cpSync(ROOT, copy, { recursive: true, filter: (path) => !isIgnored(relative(ROOT, path)) });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const original = contentOf(copy);
  smallest.before?.(copy);
  const done = await runProgram(['npm', '--prefix', copy, 'run', '--silent', script, '--', ...argv], {
    env: { PATH: process.env['PATH'] ?? '', HOME: home, TMPDIR: home, ...env },
  });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  smallest.check(done, copy);
  const after = contentOf(copy);
  const changed = [...new Set([...original.keys(), ...after.keys()])].filter(
    (path) => after.get(path) !== original.get(path),
  );
  assert.deepEqual(changed, [], 'the sources are as before');
}

const isIgnored = (path: string): boolean => path !== '' && IGNORED.some((pattern) => matchesGlob(path, pattern));

const contentOf = (copy: string): Map<string, string> =>
  new Map(
    globSync('**/*', { cwd: copy, withFileTypes: true, exclude: (entry) => isIgnored(entry.name) })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [relative(copy, path), readFileSync(path, 'latin1')]),
  );

test('every npm script is run here or elsewhere', () => {
  const others = Object.keys(scripts).filter((script) => !IN_BENCH.test(script));
  assert.deepEqual(others.sort(), [...Object.keys(HERE), ...Object.keys(ELSEWHERE)].sort());
  const untrue = Object.entries(ELSEWHERE).filter(
    ([, { file, says }]) => !readFileSync(join(ROOT, file), 'utf8').includes(says),
  );
  assert.deepEqual(untrue, []);
});
