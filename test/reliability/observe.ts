/** Observes the outcome of a command under one fault, and whether `clean` removes all leftovers afterwards. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { CreateTagsCommand, CreateVolumeCommand } from '@aws-sdk/client-ec2';
import { CreateMultipartUploadCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { claimKey, encodeClaim, newClaim } from '../../src/archive/claim.ts';
import { objectKey } from '../../src/archive/key.ts';
import { addSnapshotOfImage } from '../support/disks.ts';
import { tagsOf } from '../support/ec2-state.ts';
import { BUCKET, type Finished, labForTest, recordsOf, runCli, runMigrate, type TestLab } from '../support/lab.ts';
import { type Cell, type CommandName, specOf } from './matrix.ts';

interface Stage {
  lab: TestLab;
  snapshotId: string;
}

const ARGV: Record<CommandName, string[]> = {
  migrate: ['migrate', '--all', '--validate'],
  validate: ['validate', '--all'],
  clean: ['clean', '--older-than', '0', '--yes'],
  doctor: ['doctor'],
};

const DONE: Record<CommandName, string> = {
  migrate: 'validated',
  validate: 'validated',
  clean: 'migrate',
  doctor: 'migrate',
};

function runCommand({ lab }: Stage, command: CommandName): Promise<Finished> {
  const takesVolume = command !== 'doctor' ? ['--wait-limit', '6'] : [];
  const common = ['--bucket', BUCKET, '--mount-point', join(lab.directory, 'mnt'), '--json', '--call-timeout', '5'];
  return runCli(lab.env, [...ARGV[command], ...takesVolume, ...common]);
}

/** Returns `service operation` of each call that the command makes in a lab without faults. */
export async function callsOf(t: TestContext, command: CommandName, image: string): Promise<string[]> {
  const stage = await setStage(t, command, image);
  const before = (await stage.lab.control.calls()).length;
  const done = await runCommand(stage, command);
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const calls = (await stage.lab.control.calls()).slice(before);
  return [...new Set(calls.map(({ service, operation }) => `${service} ${operation}`))].sort();
}

/** @returns the cell of the table: `survived`, or the error of the command and its leftovers. */
export async function observe(t: TestContext, cell: Cell, image: string): Promise<string> {
  const stage = await setStage(t, cell.command, image);
  const { lab, snapshotId } = stage;
  await lab.control.script(specOf(cell));
  const done = await runCommand(stage, cell.command);
  await lab.control.clearFaults();
  const left = [...new Set((await lab.control.leftovers()).map(({ kind }) => kind))].filter((kind) => CLOUD.has(kind));
  const outcome = describe(done, left);
  if (outcome === 'survived') {
    assert.equal((await tagsOf(lab, snapshotId))['snap-to-s3'], DONE[cell.command]);
    return outcome;
  }
  // `clean` finds and removes all leftovers. Then the command succeeds.
  const cleaned = await runCommand(stage, 'clean');
  assert.equal(cleaned.code, 0, cleaned.stdout + cleaned.stderr);
  assert.deepEqual(await lab.control.leftovers(), []);
  if (cell.command === 'migrate' || cell.command === 'validate') {
    const again = await runCommand(stage, cell.command);
    assert.ok(again.code === 0 || again.code === 10, again.stdout + again.stderr);
  }
  return outcome;
}

const CLOUD = new Set<string>(['volume', 'attachment', 'multipart-upload']);

function describe(done: Finished, left: readonly string[]): string {
  const rest = left.length === 0 ? '' : `; left: ${left.join(', ')}`;
  if (done.code === 0) return `survived${rest}`;
  return `exit ${done.code}: ${messageOf(done)}${rest}`;
}

interface ErrorRecord {
  code: string;
  message: string;
}

/** Returns the first reported error, without the parts that differ between runs. */
function messageOf(done: Finished): string {
  const records = recordsOf(done);
  const event = records.find(({ error }) => error !== undefined)?.['error'] as ErrorRecord | undefined;
  const finding = records.find(({ verdict }) => verdict === 'problem');
  const ended = done.stderr.split('\n').find((line) => line.startsWith('{'));
  const error = event ?? (ended === undefined ? undefined : (JSON.parse(ended) as ErrorRecord));
  const text = error ? `${error.code}: ${error.message}` : String(finding?.['detail'] ?? 'nothing was said');
  return text
    .replace(/\b(snap|vol|i)-[0-9a-f]{8,}/g, '$1-...')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)/g, 'TIME')
    .replace(/127\.0\.0\.1:\d+/g, 'HOST')
    .replace(/\/dev\/sd[a-z]/g, '/dev/sdX')
    .replace(/\/dev\/loop\d+/g, '/dev/loopN')
    .replace(/×\d+/g, '×N')
    .replace(/\d+(\.\d+)? m?s\b/g, 'N s')
    .replace(/\|/g, '/');
}

async function setStage(t: TestContext, command: CommandName, image: string): Promise<Stage> {
  const lab = await labForTest(t);
  const { snapshotId, volumeId } = await addSnapshotOfImage(lab, image);
  const stage = { lab, snapshotId };
  if (command === 'validate') {
    const done = await runMigrate(lab, ['--all']);
    assert.equal(done.code, 0, done.stderr);
  }
  if (command === 'clean') await leaveThings(stage, volumeId);
  return stage;
}

/** Creates the leftovers of a run that was killed during an upload. */
async function leaveThings({ lab, snapshotId }: Stage, volumeId: string): Promise<void> {
  const { lab: _lab, s3, ec2 } = lab;
  const Tags = [
    { Key: 'snap-to-s3', Value: 'in-progress' },
    { Key: 'snap-to-s3-archives', Value: `${BUCKET}/` },
  ];
  const volume = { SnapshotId: snapshotId, AvailabilityZone: 'us-east-1a' };
  await ec2.send(new CreateVolumeCommand({ ...volume, TagSpecifications: [{ ResourceType: 'volume', Tags }] }));
  await ec2.send(new CreateTagsCommand({ Resources: [snapshotId], Tags: [{ Key: 'snap-to-s3', Value: 'migrating' }] }));
  const name = { prefix: '', volumeId, startTime: new Date(0), snapshotId, partition: null } as const;
  const Key = objectKey({ ...name, layout: 'tar', codec: 'lz4', cipher: 'none' });
  const { UploadId: uploadId = '' } = await s3.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key }));
  const claim = newClaim({
    snapshot: snapshotId,
    volume: volumeId,
    command: 'migrate',
    holder: null,
    takenAt: '2026-01-01T00:00:00Z',
    renewal: 1,
    lifeSeconds: 60,
    tagBefore: 'migrate',
    progress: { fingerprint: 'x', objects: [], uploads: [{ key: Key, uploadId, checkpoints: [] }] },
  });
  const Body = encodeClaim(claim);
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: claimKey('', snapshotId), Body }));
}
