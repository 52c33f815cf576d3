/**
 * Measures how fast snapshots are read through the EBS direct APIs.
 *
 *   npm run bench:direct -- [--disk 4096] [--volume 256] [--fresh 3.5] [--rounds 2] [--record]      sizes in MiB, rates in MiB/s
 *
 * The first part has the latencies and limits of AWS. It compares direct reads with a fresh volume, whose disk is
 * smaller because it is slow. Volumes have whole GiB. The second part has neither latencies nor limits. It compares
 * direct reads with a loop of SDK calls, and with two such loops at once, which reach the maximum of the local cloud.
 */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LabControl } from '../lab/control/client.ts';
import { labDown, labUp } from '../lab/control/manage.ts';
import type { Delays } from '../lab/core/contract.ts';
import { NODE_FLAGS } from '../src/lib/node-flags.ts';
import { removeDirectory } from '../test/support/remove-directory.ts';
import { buildBenchDisk } from './data.ts';
import { type Measured, measure, median, secondsOf } from './measure.ts';
import { publishedProgram } from './program.ts';
import { recorder } from './record.ts';

const { values } = parseArgs({
  options: {
    disk: { type: 'string', default: '4096' },
    volume: { type: 'string', default: '256' },
    fresh: { type: 'string', default: '3.5' },
    rounds: { type: 'string', default: '2' },
    record: { type: 'boolean', default: false },
  },
});

const MiB = 2 ** 20;
const BLOCK = MiB / 2;

/** Sources: observations (fresh volumes), and "Quotas for EBS direct APIs". */
const AWS: Partial<Delays> = {
  volumeBytesPerSecond: Number(values.fresh) * MiB,
  getBlock: 20,
  snapshotBlocksPerSecond: 1000,
};
const NONE: Partial<Delays> = { volumeBytesPerSecond: 0, getBlock: 0, snapshotBlocksPerSecond: 0 };

const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-bench-'));
const record = recorder('npm run bench:direct', values);
const say = (text: string): void => record.add('direct', [text]);

interface Disk {
  snapshotId: string;
  bytes: number;
  /** The number of written blocks. */
  blocks: number;
}

interface Outcome {
  seconds: number;
  measured: Measured;
}

const program = await publishedProgram();
await main();

async function main(): Promise<void> {
  try {
    mkdirSync(join(directory, 'mnt'));
    const lab = await labUp({ directory: join(directory, 'lab') });
    const control = new LabControl(lab.endpoints.control);
    await control.addBucket('bench');
    const env = { PATH: process.env['PATH'], HOME: directory, ...lab.environment };
    const [large, small] = [await addDisk(control, env, values.disk), await addDisk(control, env, values.volume)];
    await control.setDelays(AWS);
    await asOnAws(large, small, env);
    await control.setDelays(NONE);
    await withoutLimits(large, env);
    if (values.record) record.write();
  } finally {
    await labDown(join(directory, 'lab'));
    removeDirectory(directory);
  }
}

async function addDisk(control: LabControl, env: NodeJS.ProcessEnv, mebibytes: string): Promise<Disk> {
  const imagePath = join(directory, `disk-${mebibytes}.img`);
  await buildBenchDisk(imagePath, Number(mebibytes) / 2, Number(mebibytes));
  const { snapshotId } = await control.addSnapshot({ imagePath });
  const { blocks } = await bareLoop(snapshotId, env);
  return { snapshotId, bytes: Math.ceil(Number(mebibytes) / 1024) * 1024 * MiB, blocks };
}

function bareLoop(snapshotId: string, env: NodeJS.ProcessEnv) {
  return reader('bare-loop.ts', snapshotId, env);
}

async function reader(file: string, snapshotId: string, env: NodeJS.ProcessEnv) {
  const argv = [process.execPath, ...NODE_FLAGS, join(import.meta.dirname, file), snapshotId, '32'];
  const measured = await measure(argv, env);
  const { blocks, seconds } = JSON.parse(measured.stdout.at(-1) ?? '') as { blocks: number; seconds: number };
  return { blocks, seconds, measured };
}

async function image({ snapshotId }: Disk, source: string, env: NodeJS.ProcessEnv): Promise<Outcome> {
  const flags = ['--dd', '--replace', '--json', '--source', source, '--max-block-rate', '10000', '--mount-point'];
  const argv = [program, 'migrate', '--snapshots', snapshotId, '--bucket', 'bench', ...flags, join(directory, 'mnt')];
  const measured = await measure(argv, env);
  return { seconds: secondsOf('object.stored', measured), measured };
}

async function asOnAws(large: Disk, small: Disk, env: NodeJS.ProcessEnv): Promise<void> {
  say('\nwith the latencies and limits of AWS');
  const direct = await image(large, 'direct', env);
  tell('image, by direct reads', direct, large.bytes);
  const volume = await image(small, 'volume', env);
  tell('image, from a fresh volume', volume, small.bytes);
  const rates = [rateOf(direct, large.bytes), rateOf(volume, small.bytes)] as const;
  const blockRate = large.blocks / direct.seconds;
  say(`  directly: ${(rates[0] / rates[1]).toFixed(0)} times the speed of a fresh volume`);
  say(`  directly: ${blockRate.toFixed(0)} blocks/s, ${((blockRate / 1000) * 100).toFixed(0)} % of the limit`);
}

async function withoutLimits(disk: Disk, env: NodeJS.ProcessEnv): Promise<void> {
  say('\nwithout latencies and limits');
  const rounds: { ours: Outcome; own: Outcome; bare: Outcome; both: number }[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const ours = await image(disk, 'direct', env);
    const own = await reader('own-reader.ts', disk.snapshotId, env);
    const bare = await bareLoop(disk.snapshotId, env);
    const two = await Promise.all([bareLoop(disk.snapshotId, env), bareLoop(disk.snapshotId, env)]);
    rounds.push({ ours, own, bare, both: Math.max(...two.map(({ seconds }) => seconds)) });
  }
  const data = disk.blocks * BLOCK;
  const column = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
  const line = (name: string, bytes: number, seconds: number) =>
    say(
      `  ${name.padEnd(28)} ${megabytes(bytes / seconds)} MB/s of data, ${(bytes / BLOCK / seconds).toFixed(0)} blocks/s`,
    );
  line(
    'image, stored',
    data,
    column(({ ours }) => ours.seconds),
  );
  line(
    'our reader alone',
    data,
    column(({ own }) => own.seconds),
  );
  line(
    'a loop of SDK calls',
    data,
    column(({ bare }) => bare.seconds),
  );
  line(
    'two such loops at once',
    2 * data,
    column(({ both }) => both),
  );
  const ratio = (pick: (round: (typeof rounds)[number]) => number) => column(pick).toFixed(2);
  for (const [name, secondsOf] of [
    ['our reader alone', ({ own }: (typeof rounds)[number]) => own.seconds],
    ['image, stored', ({ ours }: (typeof rounds)[number]) => ours.seconds],
  ] as const) {
    const ofBare = ratio((round) => round.bare.seconds / secondsOf(round));
    const ofBoth = ratio((round) => round.both / 2 / secondsOf(round));
    say(`  ${name}: ${ofBare} times the speed of a loop, ${ofBoth} of the maximum of the local cloud`);
  }
  const { measured } = rounds.at(-1)?.ours ?? { measured: null };
  if (measured) say(`  image, stored: ${costs(measured, disk.bytes)}`);
}

function rateOf({ seconds }: Outcome, bytes: number): number {
  return bytes / seconds;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1).padStart(6);
}

function costs({ cpuSeconds, peakMiB }: Measured, bytes: number): string {
  return `${(cpuSeconds / (bytes / 1e9)).toFixed(2)} CPU s/GB of disk, own process ${peakMiB.toFixed(0)} MiB`;
}

function tell(name: string, outcome: Outcome, bytes: number): void {
  say(`  ${name.padEnd(28)} ${megabytes(rateOf(outcome, bytes))} MB/s, ${costs(outcome.measured, bytes)}`);
}
