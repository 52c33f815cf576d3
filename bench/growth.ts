/**
 * Measures how time and memory grow with the size of a disk, and with the number of files, archives and snapshots.
 *
 *   npm run bench:growth -- [--gib 1,8,64] [--data 256] [--files 10000,100000,1000000] [--archives 1000,4000,20000]
 *                           [--snapshots 1000,20000] [--points 365] [--record]      data in MiB
 *
 * The disks are sparse and all have the same data. Migrations write to a store that discards everything. The points are
 * daily incremental archives of one sparse volume of `--volume` GiB, of which `--written` GiB have data; half a percent
 * of the data changes every day, so that all of them form one chain.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LabControl } from '../lab/control/client.ts';
import { labDown, labUp } from '../lab/control/manage.ts';
import { buildDisk } from '../lab/disks/build.ts';
import { removeDirectory } from '../test/support/remove-directory.ts';
import { addArchives } from './archives.ts';
import { buildBenchDisk } from './data.ts';
import { measure, secondsOf } from './measure.ts';
import { addPoints } from './points/daily-points.ts';
import { publishedProgram } from './program.ts';
import { recorder } from './record.ts';

const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '1,8,64' },
    data: { type: 'string', default: '256' },
    files: { type: 'string', default: '10000,100000,1000000' },
    archives: { type: 'string', default: '1000,4000,20000' },
    snapshots: { type: 'string', default: '1000,20000' },
    points: { type: 'string', default: '365' },
    volume: { type: 'string', default: '1024' },
    written: { type: 'string', default: '100' },
    record: { type: 'boolean', default: false },
  },
});

/** An empty list leaves a part of the bench out. */
const sizesOf = (list: string): number[] => list.split(',').filter(Boolean).map(Number);

const record = recorder('npm run bench:growth', values);
const say = (text: string): void => record.add('growth', [text]);
const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-bench-'));
const program = await publishedProgram();

const FILES_PER_DIRECTORY = 1000;

interface Stage {
  control: LabControl;
  env: NodeJS.ProcessEnv;
  /** The endpoint of the store that discards everything. */
  sink: string;
}

async function main(): Promise<void> {
  const sink = fork(join(import.meta.dirname, 'sink.ts'), { stdio: 'inherit' });
  try {
    const [sinkUrl] = (await once(sink, 'message')) as [string];
    mkdirSync(join(directory, 'mnt'));
    const lab = await labUp({ directory: join(directory, 'lab') });
    const env = { PATH: process.env['PATH'], HOME: directory, TMPDIR: directory, ...lab.environment };
    const stage = { control: new LabControl(lab.endpoints.control), env, sink: sinkUrl };
    await stage.control.addBucket('bench');
    for (const gib of sizesOf(values.gib)) await migrateDisk(stage, gib);
    for (const count of sizesOf(values.files)) await migrateFiles(stage, count);
    await listArchives(stage);
    await planSnapshots(stage);
    for (const count of sizesOf(values.points)) await readPoints(stage, count);
    if (values.record) record.write();
  } finally {
    sink.kill();
    await labDown(join(directory, 'lab'));
    removeDirectory(directory);
  }
}

/**
 * Runs a command of the program, and prints its time and memory.
 * @param event the event that reports the measured seconds (default: the whole run is measured).
 */
async function time(stage: Stage, name: string, argv: readonly string[], event?: string): Promise<void> {
  const measured = await measure([program, ...argv, '--json'], stage.env);
  const streaming = event === undefined ? measured.seconds : secondsOf(event, measured);
  const seconds = streaming.toFixed(1).padStart(7);
  const own = `${measured.ownCpuSeconds.toFixed(1)} CPU s, ${measured.peakMiB.toFixed(0)} MiB`;
  say(`  ${name.padEnd(44)} ${seconds} s; own process ${own}`);
}

function migration(snapshotId: string, endpoint: string): string[] {
  const mount = ['--mount-point', join(directory, 'mnt')];
  return ['migrate', '--snapshots', snapshotId, '--bucket', 'bench', '--endpoint-url', endpoint, ...mount];
}

async function migrateDisk(stage: Stage, gib: number): Promise<void> {
  const imagePath = join(directory, 'disk.img');
  await buildBenchDisk(imagePath, Number(values.data), gib * 1024);
  const { snapshotId } = await stage.control.addSnapshot({ imagePath });
  await rm(imagePath);
  await time(stage, `migrate --dd, ${gib} GiB`, [...migration(snapshotId, stage.sink), '--dd'], 'object.stored');
}

async function migrateFiles(stage: Stage, count: number): Promise<void> {
  const path = join(directory, 'files.img');
  const populate = (root: string) => writeFiles(root, count);
  const sizeMiB = Math.ceil(64 + count / 128);
  await buildDisk({ path, table: 'none', partitions: [{ content: 'ext4', sizeMiB, populate }] });
  const { snapshotId } = await stage.control.addSnapshot({ imagePath: path });
  await rm(path);
  await time(stage, `migrate, ${count} files`, migration(snapshotId, stage.sink), 'object.stored');
}

async function writeFiles(root: string, count: number): Promise<void> {
  for (let file = 0; file < count; file++) {
    const folder = join(root, String(Math.floor(file / FILES_PER_DIRECTORY)));
    if (file % FILES_PER_DIRECTORY === 0) mkdirSync(folder);
    writeFileSync(join(folder, `file-${file}`), `content of file ${file}\n`);
  }
}

async function listArchives(stage: Stage): Promise<void> {
  const imagePath = join(directory, 'small.img');
  await buildDisk({ path: imagePath, table: 'none', partitions: [{ content: 'ext4', sizeMiB: 8 }] });
  const { snapshotId } = await stage.control.addSnapshot({ imagePath });
  const endpoint = stage.env['AWS_ENDPOINT_URL_S3'] ?? '';
  await measure([program, ...migration(snapshotId, endpoint), '--dd'], stage.env);
  let total = 1;
  for (const count of sizesOf(values.archives)) {
    await addArchives({ env: stage.env, snapshotId, from: total, to: count });
    total = count;
    await time(stage, `list, ${count} archives`, ['list', '--bucket', 'bench']);
  }
}

async function planSnapshots(stage: Stage): Promise<void> {
  const imagePath = join(directory, 'small.img');
  let total = 0;
  for (const count of sizesOf(values.snapshots)) {
    for (; total < count; total++) await stage.control.addSnapshot({ imagePath, tags: { 'snap-to-s3': 'migrate' } });
    const argv = ['migrate', '--all', '--dry-run', '--bucket', 'bench', '--prefix', 'none', '--dd'];
    await time(stage, `migrate --all --dry-run, ${count} snapshots`, argv);
  }
}

/** The change of a day: with 0.5 %, the differences of a year are less than twice the base, which would need a new one. */
const CHANGE = 0.005;

/** Plans restores to a new snapshot, because a plan for a file depends on the free space of this machine. */
async function readPoints(stage: Stage, points: number): Promise<void> {
  const bucket = `points-${points}`;
  await stage.control.addBucket(bucket);
  const size = { gib: Number(values.volume), dataGib: Number(values.written), change: CHANGE };
  const ids = await addPoints({ env: stage.env, bucket, points, ...size });
  const [oldest = '', newest = ''] = [ids[0], ids.at(-1)];
  const of = `, ${points} points of ${size.gib} GiB`;
  await time(stage, `list${of}`, ['list', '--bucket', bucket]);
  await time(stage, `list NEWEST${of}`, ['list', newest, '--bucket', bucket]);
  const rule = ['--keep-monthly', '12'];
  await time(stage, `expire --dry-run${of}`, ['expire', ...rule, '--dry-run', '--bucket', bucket]);
  for (const [name, id] of [
    ['newest', newest],
    ['oldest', oldest],
  ] as const) {
    const argv = ['restore', id, '--to-snapshot', '--dry-run', '--bucket', bucket];
    await time(stage, `plan of a restore, ${name}${of}`, argv);
  }
}

await main();
