/** The steps that change volumes and their archives. Each is a run of the program, or what happens around it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { DeleteSnapshotCommand } from '@aws-sdk/client-ec2';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { tagsOf } from '../../support/ec2-state.ts';
import { BUCKET, type Finished, recordsOf, runCli } from '../../support/lab.ts';
import { runAndKill } from '../../support/processes/killed-run.ts';
import { bytesOf, replaceObject } from '../../support/tamper.ts';
import { until } from '../../support/until.ts';
import { DAY, isDamaged, type ModelSnapshot, type Rules } from './model.ts';
import { Bucket } from './rebuild.ts';
import { advance, BLOCK_BYTES, below, checkWorld, HOUR, type ModelVolume, nowIn, oneOf, type World } from './world.ts';

/** @returns the rules of a run of `expire` that has ended well and alone; otherwise `null`. */
type Step = (world: World) => Promise<Rules | null>;

/** The steps, and how often each is taken. */
export const STEPS: Readonly<Record<string, { weight: number; step: Step }>> = {
  snapshot: { weight: 26, step: takeSnapshot },
  migrate: { weight: 12, step: migrateOnce },
  'two writers': { weight: 8, step: migrateTwice },
  'kill a writer': { weight: 10, step: killMigrate },
  expire: { weight: 14, step: expireOnce },
  'expire and migrate': { weight: 4, step: expireAndMigrate },
  'expire during a write': { weight: 9, step: expireDuringWrite },
  'kill expire': { weight: 8, step: killExpire },
  restore: { weight: 8, step: restore },
  'kill a restore': { weight: 3, step: killRestore },
  wait: { weight: 14, step: wait },
  damage: { weight: 2, step: damagePack },
  'delete a snapshot': { weight: 3, step: deleteSnapshot },
};

/** The first steps are snapshots, because the others need some. */
export function chooseStep(world: World): string {
  if (world.snapshots.size < 3) return 'snapshot';
  const steps = Object.entries(STEPS);
  let left = world.random() * steps.reduce((sum, [, { weight }]) => sum + weight, 0);
  for (const [name, { weight }] of steps) {
    left -= weight;
    if (left < 0) return name;
  }
  return 'snapshot';
}

/** The only blocks that change, so that a step takes little time. */
const BLOCKS = [0, 1, 2, 3, 4, 5, 10, 11, 500, 501, 1023, 2047];

async function takeSnapshot(world: World): Promise<null> {
  const volume = oneOf(world, world.volumes);
  assert.ok(volume);
  await snapshotOf(world, volume);
  return null;
}

async function snapshotOf(world: World, volume: ModelVolume): Promise<ModelSnapshot> {
  await advance(world, HOUR * (1 + below(world, 30)));
  await changeVolume(world, volume);
  const startTime = nowIn(world);
  const { snapshotId: id } = await world.lab.control.addSnapshot({
    imagePath: volume.disk.path,
    volumeId: volume.id,
    startTime: startTime.toISOString(),
    writtenZeros: volume.disk.zeros,
    tags: { 'snap-to-s3': 'migrate' },
  });
  const blocks = new Map(volume.blocks);
  const snapshot = { id, volumeId: volume.id, startTime, blocks, isArchived: false };
  world.snapshots.set(id, snapshot);
  return snapshot;
}

async function changeVolume(world: World, { disk, made, blocks }: ModelVolume): Promise<void> {
  const change = { write: [] as number[], writeZeros: [] as number[], trim: [] as number[] };
  for (const index of BLOCKS) {
    const chance = world.random();
    if (chance < 0.25) change.write.push(index);
    else if (chance < 0.31) change.writeZeros.push(index);
    else if (chance < 0.37) change.trim.push(index);
  }
  made.length = 0;
  await disk.change(change);
  for (const [at, index] of change.write.entries()) blocks.set(index, made[at] ?? '');
  for (const index of [...change.writeZeros, ...change.trim]) blocks.delete(index);
}

async function wait(world: World): Promise<null> {
  await advance(world, HOUR * (1 + below(world, 96)));
  return null;
}

interface Run {
  /** The snapshot to archive (default: all). */
  only?: string;
  /** Kills the program and all that it has started at this line of its output. */
  killAt?: number;
}

const runProgram = async ({ lab }: World, argv: readonly string[], { killAt }: Run = {}): Promise<Finished> => {
  const all = [...argv, '--bucket', BUCKET];
  if (killAt === undefined) return runCli(lab.env, all);
  return (await runAndKill(lab, all, { lines: killAt })).done;
};

async function migrate(world: World, run: Run = {}): Promise<Finished> {
  const chain = below(world, 3) === 0 ? ['--base-every', '3'] : [];
  const which = run.only === undefined ? ['--all'] : ['--snapshots', run.only];
  const flags = [...which, '--incremental', '--source', 'direct', '--compression', 'zstd', '--json', ...chain];
  const mount = ['--mount-point', join(world.lab.directory, 'mnt'), '--wait-limit', '30'];
  return runProgram(world, ['migrate', ...flags, ...mount], run);
}

/** @param isAlone whether no other run could hold a claim. */
function assertMigrated(world: World, done: Finished, isAlone: boolean): void {
  const output = done.stdout + done.stderr;
  let failed = 0;
  for (const { code, snapshot, outcome, error } of recordsOf(done)) {
    if (code !== 'snapshot.finished') continue;
    const id = snapshot as string;
    const known = world.snapshots.get(id);
    assert.ok(known, id);
    if (outcome === 'failed') {
      failed++;
      assertExcused(world, id, (error as { code: string }).code, isAlone, output);
    } else world.snapshots.set(id, { ...known, isArchived: true });
  }
  if (failed === 0) assert.ok([0, 10, ...(isAlone ? [] : [11])].includes(done.code ?? -1), output);
}

/** A snapshot may fail only if the archive that a killed run has completed expires or is damaged. */
function assertExcused(world: World, id: string, code: string, isAlone: boolean, output: string): void {
  if (code === 'CLAIMED' && !isAlone) return;
  const manifest = world.manifests.get(id);
  if (code === 'ARCHIVE_EXISTS' && (manifest?.expiry || !isAlone)) return;
  if (code === 'DIFFERS' && manifest && isDamaged(manifest, world.damage)) return;
  assert.fail(`${id} failed: ${output}`);
}

async function migrateOnce(world: World): Promise<null> {
  assertMigrated(world, await migrate(world), true);
  return null;
}

async function migrateTwice(world: World): Promise<null> {
  for (const done of await Promise.all([migrate(world), migrate(world)])) assertMigrated(world, done, false);
  return null;
}

/** In some cases, a second writer works at the same time. */
async function killMigrate(world: World): Promise<null> {
  const killed = migrate(world, { killAt: 1 + below(world, 25) });
  if (below(world, 2) === 0) assertMigrated(world, await migrate(world), false);
  await killed;
  return null;
}

const RULES: readonly Rules[] = [
  { last: 1, daily: 0 },
  { last: 2, daily: 0 },
  { last: 4, daily: 0 },
  { last: 1, daily: 3 },
];

async function expire(world: World, rules: Rules, run: Run = {}): Promise<Finished> {
  const daily = rules.daily > 0 ? ['--keep-daily', String(rules.daily)] : [];
  return runProgram(world, ['expire', '--yes', '--json', '--keep-last', String(rules.last), ...daily], run);
}

const someRules = (world: World): Rules => oneOf(world, RULES) ?? { last: 1, daily: 0 };

async function expireOnce(world: World): Promise<Rules> {
  const rules = someRules(world);
  await assertExpired(world, rules);
  return rules;
}

async function assertExpired(world: World, rules: Rules): Promise<void> {
  const done = await expire(world, rules);
  assert.ok(done.code === 0 || done.code === 10, done.stdout + done.stderr);
}

async function expireAndMigrate(world: World): Promise<null> {
  const [expired, migrated] = await Promise.all([expire(world, someRules(world)), migrate(world)]);
  assert.ok(expired.code === 0 || expired.code === 10, expired.stdout + expired.stderr);
  assertMigrated(world, migrated, false);
  return null;
}

/**
 * Archives the later one of two snapshots first. The manifest of the other one is held back until `expire` has ended, which
 * marks its parent. The point must not continue it, because `expire` could not see that it needs anything.
 */
async function expireDuringWrite(world: World): Promise<null> {
  const volume = oneOf(world, world.volumes);
  assert.ok(volume);
  const earlier = await snapshotOf(world, volume);
  const later = await snapshotOf(world, volume);
  assertMigrated(world, await migrate(world, { only: later.id }), true);
  const { control } = world.lab;
  const key = `${earlier.volumeId}/${earlier.startTime.toISOString().slice(0, 19)}+00:00 ${earlier.id}.manifest.json`;
  const action = { kind: 'latency', milliseconds: 600_000 } as const;
  await control.script({ service: 's3', operation: 'PutObject', match: { key }, action });
  const migrating = migrate(world, { only: earlier.id });
  await until(async () => (await control.unusedFaults()).length === 0);
  await assertExpired(world, { last: 1, daily: 0 });
  await control.clearFaults();
  assertMigrated(world, await migrating, true);
  await assertParentUnmarked(world, earlier.id);
  return null;
}

async function assertParentUnmarked(world: World, id: string): Promise<void> {
  const manifests = await (await Bucket.list(world.lab, world.known)).manifests();
  const parent = manifests.get(id)?.point.parent ?? null;
  if (parent !== null) assert.equal(manifests.get(parent)?.expiry, undefined, `${id} continues ${parent}`);
}

async function killExpire(world: World): Promise<null> {
  const planned = world.manifests.size;
  await expire(world, someRules(world), { killAt: 1 + below(world, planned + 8) });
  return null;
}

/** Any archive but those that have expired. */
const somePoint = (world: World) =>
  oneOf(
    world,
    [...world.manifests.values()].filter(({ expiry }) => expiry?.state !== 'expired'),
  );

/** A damaged point may fail, but what is restored must be right. */
async function restore(world: World): Promise<null> {
  const manifest = somePoint(world);
  if (!manifest) return null;
  const { id } = manifest.snapshot;
  const file = join(world.lab.directory, 'restored');
  const done = await runProgram(world, ['restore', id, '--to-file', file, '--json']);
  if (done.code === 0) await assertBlocks(file, world.snapshots.get(id)?.blocks ?? new Map());
  else assert.ok(isDamaged(manifest, world.damage), done.stdout + done.stderr);
  rmSync(file, { force: true });
  return null;
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);

async function assertBlocks(path: string, blocks: ReadonlyMap<number, string>): Promise<void> {
  await using file = await open(path, 'r');
  const buffer = Buffer.alloc(BLOCK_BYTES);
  const { size } = await file.stat();
  for (let index = 0; index * BLOCK_BYTES < size; index++) {
    await file.read(buffer, 0, BLOCK_BYTES, index * BLOCK_BYTES);
    const expected = blocks.get(index);
    if (expected === undefined) assert.ok(buffer.equals(ZEROS), `block ${index} of ${path} is not zeros`);
    else assert.equal(createHash('sha256').update(buffer).digest('base64'), expected, `block ${index} of ${path}`);
  }
}

/** Its pin stays until it expires. */
async function killRestore(world: World): Promise<null> {
  const manifest = somePoint(world);
  if (!manifest) return null;
  const file = join(world.lab.directory, 'restored');
  await runProgram(world, ['restore', manifest.snapshot.id, '--to-file', file, '--json'], {
    killAt: 1 + below(world, 6),
  });
  rmSync(file, { force: true });
  return null;
}

/** Deletes a pack, or replaces it by another object. */
async function damagePack(world: World): Promise<null> {
  const keys = [...world.known.keys()].map((name) => name.replace(/^"\S+" /, ''));
  const present = keys.filter((key) => /\.pack\./.test(key) && isNeeded(world, key));
  const key = oneOf(world, [...new Set(present)].filter((one) => !world.damage.has(one)).sort());
  if (key === undefined) return null;
  const bytes = await bytesOf(world.lab, key);
  const how = below(world, 3);
  if (how === 0) await world.lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
  else await replaceObject(world.lab, key, how === 1 ? bytes.subarray(1) : Buffer.alloc(bytes.length, 7));
  world.damage.set(key, how === 2 ? 'hidden' : 'visible');
  return null;
}

const isNeeded = ({ manifests }: World, key: string): boolean =>
  [...manifests.values()].some(
    (manifest) => manifest.expiry?.state !== 'expired' && isDamaged(manifest, new Map([[key, 'visible']])),
  );

/** Deletes the snapshot of an archive, so that EBS cannot tell what has changed since. */
async function deleteSnapshot(world: World): Promise<null> {
  const archived = [...world.manifests.keys()].filter((id) => world.snapshots.get(id)?.isArchived);
  const id = oneOf(world, archived);
  if (id === undefined) return null;
  const tags = await tagsOf(world.lab, id).catch(() => null);
  if (tags?.['snap-to-s3'] === 'migrated') await world.lab.ec2.send(new DeleteSnapshotCommand({ SnapshotId: id }));
  return null;
}

/** Finishes everything, and lets the period of grace and the pins pass. Nothing but the kept points may be left. */
export async function finish(world: World): Promise<Rules> {
  const rules = { last: 2, daily: 0 };
  assertMigrated(world, await migrate(world), true);
  await assertExpired(world, rules);
  await checkWorld(world, rules);
  await advance(world, 30 * DAY);
  await assertExpired(world, rules);
  const clean = await runProgram(world, ['clean', '--yes', '--older-than', '0']);
  assert.ok(clean.code === 0 || clean.code === 10, clean.stdout + clean.stderr);
  return rules;
}
