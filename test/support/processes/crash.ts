/** Kills runs and resumes them with the same command. The archive must be identical. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { keysIn, plainHash } from '../archives.ts';
import { addSnapshotOf, addSnapshotOfImage } from '../disks.ts';
import { tagsOf } from '../ec2-state.ts';
import { addKey, gpgHome } from '../gpg.ts';
import { labForTest, recordsOf, runMigrate, runValidate, type TestLab } from '../lab.ts';
import { fullOr, named, seededIntegers } from '../sampled.ts';
import { until } from '../until.ts';
import { assertKilled, killFamily } from './kill-family.ts';

/** Writes enough data for an object of several parts. It fits into a filesystem of the minimum size. */
const fill = async (directory: string): Promise<void> => {
  writeFileSync(join(directory, 'noise'), randomBytes(12_000_000));
};

// Even the smallest xfs takes long to read, and it is read in every run.
const [LAST, LAST_MIB] = fullOr('the last partition', ['xfs', 320] as const, ['ext4', 20] as const);

const DISK = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 24, populate: fill },
    { content: 'random' as const, sizeMiB: 2 },
    { content: LAST, sizeMiB: LAST_MIB, populate: fill },
  ],
};

const RECIPIENT = 'ops@example.com';

/** Events that occur only if a run or the store is slow. */
const BY_CHANCE = ['object.progress', 'call.retried'];

/** Events after the last call of a run. The run may have ended when they arrive. */
const AT_THE_END = ['snapshot.finished', 'run.finished'];

/** The moment at which a run is killed: at a record of `--json`, when half of the parts are stored, or after a time. */
type Moment = { line: RegExp } | { parts: 'half' } | { after: number };

const event = (code: string, rest = ''): Moment => ({
  line: new RegExp(`"code":"${code.replace('.', '\\.')}"${rest}`),
});

const MOMENTS = {
  'volume attached': event('volume.attached'),
  'object started': event('object.started'),
  'half-way': { parts: 'half' },
  'object stored': event('object.stored'),
  'index stored': event('index.stored'),
  'manifest stored': event('manifest.stored'),
  'tag set': event('tag.set', '.*"(migrated|validated)"'),
} satisfies Record<string, Moment>;

interface Whole {
  argv: string[];
  env: Record<string, string>;
  image: string;
  /** The SHA-256 of the plain bytes of each object, by the end of its key. */
  hashes: Map<string, string>;
  /** The codes of the events at which a run can be killed, in the order of their first occurrence. */
  events: string[];
  /** The number of UploadPart calls. */
  parts: number;
  milliseconds: number;
}

export interface CrashPlan {
  layout: 'tar' | 'image';
  cipher: 'none' | 'gpg';
  source?: 'volume' | 'direct';
  /** The number of partitions that are archived at once. */
  partitions?: number;
  /** The moments without FULL. With FULL, runs are killed at all moments, all `events`, and ten random times. */
  moments: readonly (keyof typeof MOMENTS)[];
}

const RANDOM_TIMES = 10;

export function testCrashes(plan: CrashPlan): void {
  const { layout, cipher, source = 'volume', partitions = 1 } = plan;
  test(`killed at each of its steps [${layout}, ${cipher}, ${source}, ${partitions}]`, async (t) => {
    const flags = ['--source', source, '--partition-concurrency', String(partitions)];
    const whole = await wholeArchive(t, layout, cipher, flags);
    for (const [name, moment] of momentsOf(plan, whole))
      await t.test(name, (inner) => killAndFinish(inner, whole, moment));
  });
}

/** A run with direct reads attaches no volume. */
function momentsOf({ source = 'volume', moments }: CrashPlan, whole: Whole): [string, Moment][] {
  const { 'volume attached': attached, ...others } = MOMENTS;
  const integer = seededIntegers();
  const times = Array.from({ length: RANDOM_TIMES }, () => integer(0, whole.milliseconds));
  const all: [string, Moment][] = [
    ...(source === 'volume' ? [['volume attached', attached] as [string, Moment]] : []),
    ...Object.entries(others),
    ...whole.events.map((code): [string, Moment] => [code, event(code)]),
    ...times.map((after): [string, Moment] => [`after ${after} ms`, { after }]),
  ];
  return named(moments, Object.fromEntries(all));
}

/** Returns the archive of an uninterrupted run. */
async function wholeArchive(t: TestContext, layout: string, cipher: string, flags: readonly string[]): Promise<Whole> {
  const lab = await labForTest(t);
  const env: Record<string, string> = {};
  const argv = ['--all', '--validate', '--json', '--claim-life', '60', ...flags];
  if (layout === 'image') argv.push('--dd');
  if (cipher === 'gpg') {
    env['GNUPGHOME'] = await gpgHome(t);
    await addKey(env['GNUPGHOME'], RECIPIENT);
    argv.push('--gpg-recipient', RECIPIENT);
  }
  const { image } = await addSnapshotOf(lab, DISK);
  const began = performance.now();
  const done = await runMigrate(lab, argv, { env });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const milliseconds = performance.now() - began;
  const left = new Set([...BY_CHANCE, ...AT_THE_END]);
  const events = [...new Set(recordsOf(done).map(({ code }) => code as string))].filter((code) => !left.has(code));
  const parts = await partsIn(lab);
  return { argv, env, image, hashes: await hashesIn(lab, env), events, parts, milliseconds };
}

const partsIn = async ({ control }: TestLab): Promise<number> =>
  (await control.calls()).filter(({ operation }) => operation === 'UploadPart').length;

async function hashesIn(lab: TestLab, env: Record<string, string>): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (const key of await keysIn(lab)) {
    const end = key.replace(/^\S+ snap-\w+/, '');
    hashes.set(end, /manifest|index/.test(end) ? '' : await plainHash(lab, key, env));
  }
  return hashes;
}

async function killAndFinish(t: TestContext, whole: Whole, moment: Moment): Promise<void> {
  const lab = await labForTest(t);
  const { snapshotId } = await addSnapshotOfImage(lab, whole.image);
  await runAndKill(t, lab, whole, { id: snapshotId, moment });
  const second = await runMigrate(lab, whole.argv, { env: whole.env });
  assert.ok(second.code === 0 || second.code === 10, second.stdout + second.stderr);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  assert.deepEqual(await hashesIn(lab, whole.env), whole.hashes);
  const proof = await runValidate(lab, ['--snapshots', snapshotId], { env: whole.env });
  assert.equal(proof.code, 0, proof.stderr);
}

interface Killing {
  /** The snapshot. */
  id: string;
  moment: Moment;
}

async function runAndKill(t: TestContext, lab: TestLab, whole: Whole, { id, moment }: Killing): Promise<void> {
  const marker = `${id}-killed`;
  let isKilled = false;
  const kill = () => {
    if (isKilled) return;
    isKilled = true;
    killFamily(marker);
  };
  const timer = 'after' in moment ? setTimeout(kill, moment.after) : undefined;
  const half = 'parts' in moment ? killHalfWay(lab, whole.parts, kill) : undefined;
  const run = await runMigrate(lab, whole.argv, {
    env: { ...whole.env, SNAP_TO_S3_TEST_RUN: marker },
    onLine: (line) => {
      if ('line' in moment && moment.line.test(line)) kill();
    },
  });
  clearTimeout(timer);
  await half;
  if (!('after' in moment)) {
    assert.ok(isKilled, `the moment never came, but ${whole.events.join(', ')}: ${run.stdout}`);
    assertKilled(run);
  } else if (run.signal === null) {
    // This run was faster than the whole one.
    assert.equal(run.code, 0, run.stdout + run.stderr);
    t.diagnostic('the run ended before it could be killed');
  }
}

/** Does not answer the second half of the parts, so that the run cannot continue. */
async function killHalfWay(lab: TestLab, parts: number, kill: () => void): Promise<void> {
  const half = Math.floor(parts / 2);
  assert.ok(half > 0, `there is no half of ${parts} parts`);
  await lab.control.script({ service: 's3', operation: 'UploadPart', skip: half, every: 1, action: { kind: 'hang' } });
  await until(async () => (await partsIn(lab)) > half);
  kill();
  await lab.control.clearFaults();
}
