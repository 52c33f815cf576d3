/** Runs that are killed, and finished by the same command: the archive must be what it would have been. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { keysIn, plainHash } from './archives.ts';
import { addSnapshotOf, addSnapshotOfImage } from './disks.ts';
import { tagsOf } from './ec2-state.ts';
import { addKey, gpgHome } from './gpg.ts';
import { killFamily } from './kill-family.ts';
import { labForTest, recordsOf, runMigrate, runValidate, type TestLab } from './lab.ts';
import { FULL, oneIn } from './sampled.ts';

const fill = async (directory: string): Promise<void> => {
  writeFileSync(join(directory, 'noise'), randomBytes(20_000_000));
};

const DISK = {
  table: 'gpt' as const,
  partitions: [
    { content: 'ext4' as const, sizeMiB: 48, populate: fill },
    { content: 'random' as const, sizeMiB: 2 },
    // The smallest that xfs can be takes long to read again and again.
    FULL
      ? { content: 'xfs' as const, sizeMiB: 320, populate: fill }
      : { content: 'ext4' as const, sizeMiB: 32, populate: fill },
  ],
};

const RECIPIENT = 'ops@example.com';

/** Told only when a run, or the store, happens to be slow. */
const BY_CHANCE = new Set(['object.progress', 'call.retried']);

/** How a run is killed: at an event of `--json`, or after some milliseconds. */
type Moment = { event: string } | { after: number };

interface Whole {
  argv: string[];
  env: Record<string, string>;
  image: string;
  /** SHA-256 of the plain bytes of each object, by the end of its key. */
  hashes: Map<string, string>;
  /** Codes of all events, in the order of their first occurrence. */
  events: string[];
  milliseconds: number;
}

export interface CrashPlan {
  layout: 'tar' | 'image';
  cipher: 'none' | 'gpg';
  source?: 'volume' | 'direct';
  /** Partitions at once. */
  partitions?: number;
  /** In the usual run, one in so many of the events. */
  eachEvent: number;
  /** How many times at random. */
  randomTimes: number;
}

export function testCrashes(plan: CrashPlan): void {
  const { layout, cipher, source = 'volume', partitions = 1, eachEvent, randomTimes } = plan;
  test(`killed at events and at random times [${layout}, ${cipher}, ${source}, ${partitions}]`, async (t) => {
    const whole = await wholeArchive(t, layout, cipher, [
      '--source',
      source,
      '--partitions-at-once',
      String(partitions),
    ]);
    for (const event of oneIn(eachEvent, whole.events))
      await t.test(event, (inner) => killAndFinish(inner, whole, { event }));
    for (let count = 0; count < randomTimes; count++) {
      const after = Math.round(Math.random() * whole.milliseconds);
      await t.test(`after ${after} ms`, (inner) => killAndFinish(inner, whole, { after }));
    }
  });
}

/** The archive of a run that nobody interrupted. */
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
  const events = [...new Set(recordsOf(done).map(({ code }) => code as string))].filter((code) => !BY_CHANCE.has(code));
  return { argv, env, image, hashes: await hashesIn(lab, env), events, milliseconds };
}

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
  await runAndKill(lab, whole, snapshotId, moment);
  const second = await runMigrate(lab, whole.argv, { env: whole.env });
  assert.ok(second.code === 0 || second.code === 10, second.stdout + second.stderr);
  assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], 'validated');
  assert.deepEqual(await hashesIn(lab, whole.env), whole.hashes);
  const proof = await runValidate(lab, ['--snapshots', snapshotId], { env: whole.env });
  assert.equal(proof.code, 0, proof.stderr);
}

async function runAndKill(lab: TestLab, { argv, env, events }: Whole, id: string, moment: Moment): Promise<void> {
  const marker = `${id}-killed`;
  let isKilled = false;
  const kill = () => {
    isKilled = true;
    killFamily(marker);
  };
  const timer = 'after' in moment ? setTimeout(kill, moment.after) : undefined;
  const first = await runMigrate(lab, argv, {
    env: { ...env, SNAP_TO_S3_TEST_RUN: marker },
    onLine: (line) => {
      if ('event' in moment && !isKilled && line.includes(`"code":"${moment.event}"`)) kill();
    },
  });
  clearTimeout(timer);
  if ('event' in moment) assert.ok(isKilled, `${moment.event} never came, but ${events.join(', ')}: ${first.stdout}`);
}
