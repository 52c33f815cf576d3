/**
 * Measures what incremental archives store and cost, for monthly snapshots of a volume that changes at random.
 *
 *   npm run bench:incremental -- [--data 1024] [--points 12] [--changes 1,5,20] [--compression lz4] [--record]
 *
 * `--data` is in MiB, `--changes` in percent of the data. The defaults are the full size, which takes up to 25 times
 * `--data` on the disk. The limit is the size of the changed blocks, each compressed by itself with the command of the
 * codec. The same snapshots are also archived as full images, and backed up by restic.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';
import { LabControl } from '../lab/control/client.ts';
import { labDown, labUp } from '../lab/control/manage.ts';
import { BLOCK_BYTES } from '../src/cloud/blocks.ts';
import { sum } from '../src/lib/sum.ts';
import { formatDollars } from '../src/lib/units.ts';
import { removeDirectory } from '../test/support/remove-directory.ts';
import { measure } from './measure.ts';
import { Requests, type Stored, snapshotsMonth, storedIn } from './points/bill.ts';
import { ChangingVolume } from './points/changing-volume.ts';
import { type Compression, compressedAlone, Restic } from './points/others.ts';
import { publishedProgram } from './program.ts';
import { recorder } from './record.ts';

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: '1024' },
    points: { type: 'string', default: '12' },
    changes: { type: 'string', default: '1,5,20' },
    compression: { type: 'string', default: 'lz4' },
    record: { type: 'boolean', default: false },
  },
});

const [MiB, TiB] = [2 ** 20, 2 ** 40];
const DATA_BYTES = Number(values.data) * MiB;
const STORAGE_CLASS = 'DEEP_ARCHIVE';

/** The buckets, each with the flags that fill it. A tag of its own has a snapshot archived once more. */
const FORMS = {
  incremental: ['--incremental'],
  full: ['--dd', '--tag', 'snap-to-s3-full'],
} as const;

type Form = keyof typeof FORMS;

const record = recorder('npm run bench:incremental', values);
const say = (text: string): void => record.add('incremental', [text]);
const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-bench-'));
const program = await publishedProgram();

async function main(): Promise<void> {
  try {
    for (const percent of values.changes.split(',').map(Number)) await measureChange(percent);
    if (values.record) record.write();
  } finally {
    removeDirectory(directory);
  }
}

interface Stage {
  home: string;
  control: LabControl;
  s3: S3Client;
  env: NodeJS.ProcessEnv;
  volume: ChangingVolume;
  restic: Restic;
  requests: Record<Form, Requests>;
}

/** Every part of the bench has a lab of its own, because the snapshots need much space. */
async function measureChange(percent: number): Promise<void> {
  const home = join(directory, `change-${percent}`);
  mkdirSync(join(home, 'mnt'), { recursive: true });
  try {
    const stage = await prepare(home);
    say(`\n${values.points} monthly points of ${values.data} MiB of data, of which ${percent} % change`);
    say('  point  changed blocks       limit  incremental       full     restic  (MiB, all points so far)');
    const points = await archivePoints(stage, percent / 100);
    await tellTotals(stage, points);
    stage.s3.destroy();
  } finally {
    await labDown(join(home, 'lab'));
    removeDirectory(home);
  }
}

async function prepare(home: string): Promise<Stage> {
  const lab = await labUp({ directory: join(home, 'lab') });
  const control = new LabControl(lab.endpoints.control);
  for (const bucket of Object.keys(FORMS)) await control.addBucket(bucket);
  const env = { PATH: process.env['PATH'], HOME: home, TMPDIR: home, ...lab.environment };
  const s3 = new S3Client({
    endpoint: lab.endpoints.s3,
    region: lab.environment['AWS_REGION'] ?? '',
    credentials: {
      accessKeyId: lab.environment['AWS_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: lab.environment['AWS_SECRET_ACCESS_KEY'] ?? '',
    },
    forcePathStyle: true,
  });
  const volume = await ChangingVolume.create(join(home, 'volume.img'), DATA_BYTES);
  const restic = await Restic.create(join(home, 'restic'));
  return { home, control, s3, env, volume, restic, requests: { incremental: new Requests(), full: new Requests() } };
}

interface Point {
  changedBlocks: number;
  /** Bytes of these blocks, each compressed by itself. */
  limitBytes: number;
  /** Blocks that the point stores itself. */
  storedBlocks: number;
  /** Bytes of the repository of restic after this point. */
  resticBytes: number;
}

async function archivePoints(stage: Stage, change: number): Promise<Point[]> {
  const points: Point[] = [];
  const volumeId = `vol-${randomBytes(9).toString('hex').slice(0, 17)}`;
  for (let month = 0; month < Number(values.points); month++) {
    const { image } = stage.volume;
    const changed = month === 0 ? await stage.volume.fill() : await stage.volume.change(change);
    const startTime = new Date(Date.UTC(2026, month, 1)).toISOString();
    const { snapshotId } = await stage.control.addSnapshot({ imagePath: image, volumeId, startTime });
    const alone = [image, changed, values.compression as Compression, join(stage.home, 'blocks')] as const;
    const limitBytes = await compressedAlone(...alone);
    const storedBlocks = await archive(stage, snapshotId, 'incremental');
    await archive(stage, snapshotId, 'full');
    points.push({
      changedBlocks: changed.length,
      limitBytes,
      storedBlocks,
      resticBytes: await stage.restic.backUp(image),
    });
    await tellPoint(stage, points);
  }
  return points;
}

/** @returns the number of blocks that the point stores itself. */
async function archive({ home, control, env, requests }: Stage, snapshotId: string, form: Form): Promise<number> {
  await control.clearCalls();
  const from = ['--source', 'direct', '--max-block-rate', '10000', '--mount-point', join(home, 'mnt')];
  const to = ['--bucket', form, '--storage-class', STORAGE_CLASS, '--compression', values.compression];
  const argv = [program, 'migrate', '--snapshots', snapshotId, ...from, ...to, ...FORMS[form], '--json'];
  const { stdout } = await measure(argv, env);
  requests[form].add(await control.calls(), STORAGE_CLASS);
  const events = stdout.map((line) => JSON.parse(line) as { code: string; blocks?: number });
  return events.find(({ code }) => code === 'point.planned')?.blocks ?? 0;
}

const limitOf = (points: readonly Point[]): number => sum(points.map(({ limitBytes }) => limitBytes));

const mebibytes = (bytes: number, width = 10): string => (bytes / MiB).toFixed(2).padStart(width);

async function tellPoint({ s3 }: Stage, points: readonly Point[]): Promise<void> {
  const [ours, full] = [await storedIn(s3, 'incremental'), await storedIn(s3, 'full')];
  const { changedBlocks, resticBytes } = points.at(-1) as Point;
  const first = `  ${String(points.length).padStart(5)}  ${String(changedBlocks).padStart(14)}`;
  const rest = `${mebibytes(ours.bytes, 12)} ${mebibytes(full.bytes)} ${mebibytes(resticBytes)}`;
  say(`${first}  ${mebibytes(limitOf(points))} ${rest}`);
}

async function tellTotals(stage: Stage, points: readonly Point[]): Promise<void> {
  const { s3, requests } = stage;
  const [ours, full] = [await storedIn(s3, 'incremental'), await storedIn(s3, 'full')];
  const [changed, stored] = [
    sum(points.map(({ changedBlocks }) => changedBlocks)),
    sum(points.map(({ storedBlocks }) => storedBlocks)),
  ];
  say(`  changed blocks: ${changed}, ${mebibytes(changed * BLOCK_BYTES, 0)} MiB; ${stored} blocks are stored`);
  say(`  stored, incremental: ${kindsOf(ours)} MiB`);
  say(`  stored, full: ${kindsOf(full)} MiB`);
  const times = (bytes: number) => `${(ours.bytes / bytes).toFixed(3)} times`;
  const restic = points.at(-1)?.resticBytes ?? 0;
  say(
    `  incremental: ${times(limitOf(points))} the limit, ${times(full.bytes)} full archives, ${times(restic)} restic`,
  );
  for (const form of ['incremental', 'full'] as const) say(`  requests, ${form}: ${requests[form]}`);
  tellDollars(stage, { incremental: ours, full }, changed);
}

const kindsOf = ({ kinds }: Stored): string =>
  [...kinds].map(([kind, bytes]) => `${kind} ${mebibytes(bytes, 0)}`).join(', ');

function tellDollars({ requests }: Stage, stored: Record<Form, Stored>, changedBlocks: number): void {
  const dollars = (amount: number) => formatDollars((amount * TiB) / DATA_BYTES);
  for (const form of ['incremental', 'full'] as const) {
    const [once, month] = [requests[form].dollars, stored[form].dollarsMonth].map(dollars);
    say(`  dollars for 1 TiB of data in ${STORAGE_CLASS}, ${form}: ${once} for requests, ${month} a month at the end`);
  }
  say(
    `  dollars for 1 TiB of data, snapshots: ${dollars(snapshotsMonth(changedBlocks * BLOCK_BYTES))} a month at the end`,
  );
}

await main();
