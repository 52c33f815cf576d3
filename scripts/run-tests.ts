/**
 * Runs the checks and the tests of the published program, and reports what they left behind on this machine.
 *
 *   node scripts/run-tests.ts [--list] [SUITE...]
 *
 * A suite is a folder below test/, a folder in it, or one of its files, such as unit, unit/archive or unit/sampled.
 * `--list` only prints the names of the files.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, globSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, type Transform } from 'node:stream';
import { run, type TestsStream } from 'node:test';
import { spec } from 'node:test/reporters';
import { parseArgs } from 'node:util';
import { isFreeOfMounts, leftBehind } from '../test/support/machine-state.ts';
import { removeDirectory } from '../test/support/remove-directory.ts';
import longestFiles from './longest-files.ts';

const root = join(import.meta.dirname, '..');

/** Number of test files that run at once. They wait for disks and processes as much as they compute. */
const CONCURRENT_FILES = 3;

/** Test files that took a minute or more in the last runs. */
const LONGEST = [
  'test/restore/image.test.ts',
  'test/documents/test-unit.test.ts',
  'test/documents/permissions.test.ts',
  'test/restore/snapshot.test.ts',
  'test/restore/volume.test.ts',
  'test/direct/image.test.ts',
  'test/crash/kill-image.test.ts',
  'test/crash/kill-direct.test.ts',
  'test/crash/kill-tar.test.ts',
  'test/validate/defects.test.ts',
  'test/restore/drill.test.ts',
  'test/bench/bench.test.ts',
  'test/documents/commands.test.ts',
  'test/faults/stalled-bodies.test.ts',
  'test/faults/damaged-bodies.test.ts',
  'test/rgw/stranger.test.ts',
];

/**
 * No test may call the metadata service of a real instance. The compile cache of Node is kept, because it saves half of
 * the processor time of a start, and the program is started hundreds of times.
 */
const env = {
  AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1',
  NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compiled'),
  SNAP_TO_S3_PROGRAM: join(root, 'dist', 'src', 'bin.js'),
  ...process.env,
  NODE_NO_WARNINGS: '1',
};

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const { values, positionals } = parseArgs({ options: { list: { type: 'boolean' } }, allowPositionals: true });

process.exitCode = await main(positionals, values.list === true);

/** The checks run in parallel with the tests, and end them if they fail. */
async function main(suites: string[], isList: boolean): Promise<number> {
  if (process.env['SNAP_TO_S3_KEEP_LAB'] !== undefined)
    throw new Error('SNAP_TO_S3_KEEP_LAB is for one test file: node --test FILE');
  const stop = new AbortController();
  for (const signal of SIGNALS) process.on(signal, () => stop.abort());
  const files = longestFirst(suites.length === 0 ? allTests() : suites.flatMap(testsIn));
  if (isList) {
    process.stdout.write(`${files.join('\n')}\n`);
    return 0;
  }
  const checks = suites.length === 0 ? runCommand(['npm', 'run', '--silent', 'check'], stop.signal) : true;
  void Promise.resolve(checks).then((passed) => passed || stop.abort());
  const passed =
    (await runCommand(['npm', 'run', '--silent', 'build'], stop.signal)) && (await runTests(files, stop.signal));
  if (await checks) return passed ? 0 : 1;
  process.stderr.write('the checks failed: npm run check\n');
  return 1;
}

async function runTests(files: string[], signal: AbortSignal): Promise<boolean> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'snap-to-s3-')));
  // Tests also start the program as an ordinary user, who must be able to read the files below.
  chmodSync(directory, 0o711);
  const ofRun = { TMPDIR: directory, SNAP_TO_S3_BUILT_DISKS: join(directory, 'disks') };
  const events = run({ files, concurrency: CONCURRENT_FILES, cwd: root, env: { ...env, ...ofRun }, signal });
  let passed = false;
  events.on('test:summary', ({ file, success }) => {
    if (file === undefined) passed = success;
  });
  await Promise.all([new spec(), longestFiles].map((reporter) => print(events, reporter)));
  const left = leftBehind(directory);
  for (const thing of left) process.stderr.write(`left behind: ${thing}\n`);
  if (isFreeOfMounts(directory)) removeDirectory(directory);
  return passed && left.length === 0;
}

async function print(events: TestsStream, reporter: Transform | typeof longestFiles): Promise<void> {
  const text = events.pipe(new PassThrough({ objectMode: true })).compose(reporter as Transform);
  for await (const piece of text) process.stdout.write(piece);
}

/** Unit tests are left to test/documents/test-unit.test.ts, which runs all of them as an ordinary user. */
function allTests(): string[] {
  return testsIn('**').filter((file) => !file.startsWith('test/unit/'));
}

/** @throws Error for an unknown suite, so that tests that did not run do not seem to have passed. */
function testsIn(suite: string): string[] {
  const files = globSync([`test/${suite}/**/*.test.ts`, `test/${suite}.test.ts`], { cwd: root });
  if (files.length === 0) throw new Error(`there are no tests in ${suite}`);
  return files;
}

/** Starts slow files first, so that none of them runs alone at the end. */
function longestFirst(files: string[]): string[] {
  const gone = LONGEST.filter((file) => !existsSync(join(root, file)));
  if (gone.length > 0) throw new Error(`not there any more: ${gone.join(', ')}`);
  return [...LONGEST.filter((file) => files.includes(file)), ...files.filter((file) => !LONGEST.includes(file)).sort()];
}

async function runCommand([tool = '', ...args]: string[], signal: AbortSignal): Promise<boolean> {
  try {
    const [code] = (await once(spawn(tool, args, { cwd: root, stdio: 'inherit', env, signal }), 'close')) as [number];
    return code === 0;
  } catch {
    return false;
  }
}
