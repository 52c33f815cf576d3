/** Provides a lab for each test, and runs the program against it. A test fails if it leaves anything behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { EC2Client } from '@aws-sdk/client-ec2';
import { S3Client } from '@aws-sdk/client-s3';
import { LabControl } from '../../lab/control/client.ts';
import type { LoggedCall } from '../../lab/core/context.ts';
import type { Leftover } from '../../lab/core/contract.ts';
import { type Lab, type LabOptions, startLab } from '../../lab/index.ts';
import { NODE_FLAGS } from '../../src/lib/node-flags.ts';
import { isLabKept, keepLab } from './kept-lab.ts';
import { removeDirectory } from './remove-directory.ts';

export const BUCKET = 'backups';

export interface TestLab {
  lab: Lab;
  control: LabControl;
  ec2: EC2Client;
  s3: S3Client;
  /** The directory of the test, which is removed after the test. */
  directory: string;
  /** The environment of the program and of AWS tools. */
  env: Record<string, string>;
}

export interface LabTestOptions extends Partial<LabOptions> {
  /** The kinds of leftovers that the test may leave in the cloud. */
  allowLeftovers?: readonly Leftover['kind'][];
}

/**
 * A property that the types of the test runner lack. It is set if the test has failed, before its `after` hooks run.
 */
type FinishedTest = TestContext & { error: Error | null };

/** Creates a directory that is removed after the test. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-test-'));
  t.after(() => removeDirectory(directory));
  return directory;
}

/**
 * Starts a lab with a bucket. After the test, every scripted fault must have occurred, and nothing may be left in the
 * cloud or on this machine. `SNAP_TO_S3_KEEP_LAB` keeps the lab running: `failed` after a failed test, `always` after
 * any test.
 */
export async function labForTest(t: TestContext, options: LabTestOptions = {}): Promise<TestLab> {
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-test-'));
  const { allowLeftovers = [], ...labOptions } = options;
  const allOptions = { directory: join(directory, 'lab'), ...labOptions };
  const lab = await startLab(allOptions);
  const control = new LabControl(lab.endpoints.control);
  const clients = { region: 'us-east-1', credentials: credentialsOf(lab.environment()), maxAttempts: 1 };
  const ec2 = new EC2Client({ ...clients, endpoint: lab.endpoints.ec2 });
  const s3 = new S3Client({ ...clients, endpoint: lab.endpoints.s3, forcePathStyle: true });
  const workspace = join(directory, 'work');
  for (const name of ['mnt', 'tmp']) mkdirSync(join(workspace, name), { recursive: true });
  t.after(async () => {
    ec2.destroy();
    s3.destroy();
    const [unplayed, left, calls] = await Promise.all([control.unusedFaults(), control.leftovers(), control.calls()]);
    await lab[Symbol.asyncDispose]();
    const problem = problemOf(() => {
      const unexpected = left.filter(({ kind }) => !allowLeftovers.includes(kind));
      assert.deepEqual(unexpected, [], 'the test left things behind in the cloud');
      assert.deepEqual(
        unplayed.map(({ operation, action }) => ({ operation, action })),
        [],
        'scripted faults were not played',
      );
      const [mounts, temporary] = ['mnt', 'tmp'].map((name) => readdirSync(join(workspace, name)));
      assert.deepEqual(mounts, [], 'mount points were left behind');
      assert.deepEqual(temporary, [], 'temporary files were left behind');
      assert.deepEqual(linksOf(calls), [], 'device links were left behind');
    });
    const failure = problem ?? (t as FinishedTest).error;
    if (isLabKept(failure !== null))
      await keepLab({ options: allOptions, directory, program: PROGRAM, bucket: BUCKET });
    else removeDirectory(directory);
    if (problem) throw problem;
  });
  await control.addBucket(BUCKET);
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: workspace,
    TMPDIR: join(workspace, 'tmp'),
    AWS_PAGER: '',
    ...compileCache(),
    ...lab.environment(),
  };
  return { lab, control, ec2, s3, directory: workspace, env };
}

function problemOf(check: () => void): Error | null {
  try {
    check();
    return null;
  } catch (error) {
    return error as Error;
  }
}

/** Returns the device links of attached volumes. Only this lab has volumes with these names. */
function linksOf(calls: readonly LoggedCall[]): string[] {
  const attached = calls.filter(({ operation }) => operation === 'AttachVolume');
  const serials = new Set(attached.map(({ details }) => details['VolumeId']?.replace('-', '')));
  return namesIn('/dev/disk/by-id').filter((name) => serials.has(/_(vol[0-9a-f]+)/.exec(name)?.[1]));
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** Passes the compile cache of Node on to the program if the environment names one. */
function compileCache(): Record<string, string> {
  const directory = process.env['NODE_COMPILE_CACHE'];
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: directory };
}

export const credentialsOf = (env: Record<string, string>) => ({
  accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '',
  secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '',
  ...(env['AWS_SESSION_TOKEN'] === undefined ? {} : { sessionToken: env['AWS_SESSION_TOKEN'] }),
});

export interface Finished {
  /** `null` if the program was killed. */
  code: number | null;
  /** The signal that killed the program; `null` if it ended by itself. */
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  /** Called with each line of both streams. `signal` sends a signal to the program. */
  onLine?: (line: string, signal: (name: NodeJS.Signals) => void) => void;
  input?: string | Buffer;
}

/** The program in the sources, unless the environment names a compiled one. */
export const PROGRAM = process.env['SNAP_TO_S3_PROGRAM'] ?? join(import.meta.dirname, '..', '..', 'src', 'bin.ts');

/** Runs the program as users do, as a separate process. */
export const runCli = (env: Record<string, string>, argv: readonly string[], options: RunOptions = {}) =>
  runProgram([process.execPath, ...NODE_FLAGS, PROGRAM, ...argv], { ...options, env: { ...env, ...options.env } });

/** Runs any program and waits for it, without blocking the lab in this process. */
export async function runProgram(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [tool = '', ...rest] = argv;
  const child = spawn(tool, rest, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...options.env } });
  child.stdin.on('error', () => {});
  child.stdin.end(options.input);
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    createInterface({ input: child[name] }).on('line', (line) => {
      texts[name] += `${line}\n`;
      options.onLine?.(line, (signal) => child.kill(signal));
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, ...texts }));
  });
}

/** Runs migrate with the bucket of the lab, and a mount point below the directory of the test. */
export const runMigrate = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli(
    lab.env,
    ['migrate', '--bucket', BUCKET, '--mount-point', join(lab.directory, 'mnt'), '--wait-limit', '30', ...argv],
    options,
  );

/** Parses the records of `--json`. */
export const recordsOf = (finished: Finished): Record<string, unknown>[] =>
  finished.stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Runs validate with the same options. */
export const runValidate = (lab: TestLab, argv: readonly string[], options: RunOptions = {}) =>
  runCli(
    lab.env,
    ['validate', '--bucket', BUCKET, '--mount-point', join(lab.directory, 'mnt'), '--wait-limit', '30', ...argv],
    options,
  );
