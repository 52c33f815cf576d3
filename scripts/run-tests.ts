/**
 * Runs the checks, then the tests of the program as it is published, and looks for what they left behind on this machine.
 *
 *   node scripts/run-tests.ts [SUITE...]     suites are the folders below test/
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFreeOfMounts, leftBehind } from '../test/support/machine-state.ts';

const root = join(import.meta.dirname, '..');

/** Test files at once: they wait for disks and processes as much as they compute. */
const FILES_AT_ONCE = 3;

const REPORTERS = ['spec', './scripts/longest-files.ts'].flatMap((reporter) => [
  `--test-reporter=${reporter}`,
  '--test-reporter-destination=stdout',
]);

/**
 * Nothing may reach for the metadata service of a real instance. The program is started some hundred times: what Node
 * makes of its source and its libraries is kept, which saves half of the processor time of a start.
 */
const env = {
  AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1',
  NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compiled'),
  SNAP_TO_S3_PROGRAM: join(root, 'dist', 'src', 'bin.js'),
  ...process.env,
  NODE_NO_WARNINGS: '1',
};

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

process.exitCode = await main(process.argv.slice(2));

async function main(suites: string[]): Promise<number> {
  if (suites.length === 0 && (await run(['npm', 'run', '--silent', 'check'])) !== 0) return 1;
  if ((await run(['npm', 'run', '--silent', 'build'])) !== 0) return 1;
  const files = (suites.length === 0 ? ['**'] : suites).flatMap(testsIn).sort();
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'snap-to-s3-')));
  const argv = [process.execPath, '--test', `--test-concurrency=${FILES_AT_ONCE}`, ...REPORTERS, ...files];
  const code = await run(argv, { TMPDIR: directory });
  const left = leftBehind(directory);
  for (const thing of left) process.stderr.write(`left behind: ${thing}\n`);
  if (isFreeOfMounts(directory)) rmSync(directory, { recursive: true, force: true });
  return code === 0 && left.length > 0 ? 1 : code;
}

/** @throws for a suite that there is not: what is not run must not look as if it had passed. */
function testsIn(suite: string): string[] {
  const files = globSync(`test/${suite}/**/*.test.ts`, { cwd: root });
  if (files.length === 0) throw new Error(`there are no tests in ${suite}`);
  return files;
}

/** A signal ends the command first, so that what it leaves is still reported. */
async function run([tool = '', ...args]: string[], more: NodeJS.ProcessEnv = {}): Promise<number> {
  const child = spawn(tool, args, { cwd: root, stdio: 'inherit', env: { ...env, ...more } });
  const forward = (signal: NodeJS.Signals) => void child.kill(signal);
  for (const signal of SIGNALS) process.on(signal, forward);
  const [code] = (await once(child, 'close')) as [number | null];
  for (const signal of SIGNALS) process.off(signal, forward);
  return code ?? 1;
}
