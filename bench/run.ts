/**
 * How fast migrate, validate and restore are, as ratios of runs that take turns.
 *
 *   npm run bench -- [--rounds 3] [--warm-up 1] [--tree 2048] [--disk 4096] [--only validate]      sizes in MiB
 *
 * Each round runs every contestant once, so that what the machine does meanwhile meets all of them. Rounds that warm up
 * caches come first, and are not counted. All of them read
 * from a device that has only just been made of the same image: its file is in memory, the device's own cache is empty.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LabControl } from '../lab/control/client.ts';
import { labDown, labUp } from '../lab/control/manage.ts';
import { run } from '../lab/core/run.ts';
import { withMounted } from '../lab/disks/inspect.ts';
import { withDevice } from '../lab/disks/mounted.ts';
import { buildBenchDisk } from './data.ts';
import { type Measured, measure, median } from './measure.ts';
import { publishedProgram } from './program.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '1' },
    tree: { type: 'string', default: '2048' },
    disk: { type: 'string', default: '4096' },
    only: { type: 'string', default: '' },
  },
});

const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-bench-'));
const say = (text: string) => process.stdout.write(`${text}\n`);

interface Bench {
  env: NodeJS.ProcessEnv;
  snapshotId: string;
  image: string;
  /** The same tree as a tar, for one stage alone. */
  tar: string;
  /** The stored object, for `validate`. */
  stored: string;
  sink: string;
  s3: string;
}

/** A run's seconds of streaming (for migrate without the volume's coming and going), and bytes read. */
interface Result extends Measured {
  streaming: number;
}

type Contestant = { name: string; run: (bench: Bench) => Promise<Result> };

const PROGRAM = await publishedProgram();

/** Copying the image for each volume would disturb what is measured. */
const KEEP = ['--keep-temp-volumes'];

const migrate =
  (to: 'lab' | 'sink', ...flags: string[]) =>
  async (bench: Bench): Promise<Result> => {
    const where = to === 'sink' ? ['--endpoint-url', bench.sink] : [];
    const argv = [
      'migrate',
      '--snapshots',
      bench.snapshotId,
      '--bucket',
      'bench',
      '--json',
      '--replace',
      ...KEEP,
      ...where,
      ...flags,
    ];
    const measured = await measure([PROGRAM, ...argv, '--mount-point', join(directory, 'mnt')], bench.env);
    const stored = measured.stdout
      .map((line) => JSON.parse(line) as { code: string; seconds: number })
      .find(({ code }) => code === 'object.stored');
    return { ...measured, streaming: stored?.seconds ?? Number.NaN };
  };

const validate = async (bench: Bench): Promise<Result> => {
  const argv = ['validate', '--snapshots', bench.snapshotId, '--bucket', 'bench', '--json', ...KEEP];
  const mountPoint = join(directory, 'mnt');
  const measured = await measure([PROGRAM, ...argv, '--mount-point', mountPoint], bench.env);
  const told = measured.stdout
    .map((line) => JSON.parse(line) as { code: string; seconds: number })
    .find(({ code }) => code === 'snapshot.validated');
  return { ...measured, streaming: told?.seconds ?? Number.NaN };
};

let restored = 0;

/** To a new place each time. */
const restore =
  (to: '--to-dir' | '--to-file') =>
  async (bench: Bench): Promise<Result> => {
    const target = join(directory, `restored-${restored++}`);
    const argv = ['restore', bench.snapshotId, '--bucket', 'bench', '--json', to, target];
    const measured = await measure([PROGRAM, ...argv], bench.env);
    const told = measured.stdout
      .map((line) => JSON.parse(line) as { code: string; seconds: number })
      .find(({ code }) => code === 'object.restored');
    rmSync(target, { recursive: true });
    return { ...measured, streaming: told?.seconds ?? Number.NaN };
  };

/** What validate does once the object is here. */
const validateStage =
  (how: 'read' | 'hash' | 'alone' | 'disk') =>
  (bench: Bench): Promise<Result> =>
    withMounted(bench.image, null, async (tree) => {
      const argv = [process.execPath, join(import.meta.dirname, 'stage.ts'), how, bench.stored, tree];
      const measured = await measure(argv, bench.env);
      const { seconds } = JSON.parse(measured.stdout.at(-1) ?? '') as { seconds: number };
      return { ...measured, streaming: seconds };
    });

/** An archive for `validate`, and its object as a file. */
const archive =
  (layout: 'tar' | 'img', ...flags: string[]) =>
  async (bench: Bench): Promise<void> => {
    await migrate('lab', ...flags)(bench);
    const script = `key=$(${AWS_S3} ls --recursive s3://bench/ | grep -o 'vol-.*${layout}.lz4$')
      ${AWS_S3} cp --quiet "s3://bench/$key" "$1"`;
    await measure(['bash', '-c', script.replaceAll('ENDPOINT', bench.s3), 'archive', bench.stored], bench.env);
  };

/**
 * The device, or the directory it is mounted at, is $1, the tar of the tree $2, the endpoint of S3 $3, the stored object
 * $4.
 */
const shell =
  (on: 'tree' | 'device', script: string) =>
  (bench: Bench): Promise<Result> => {
    const measured = async (source: string): Promise<Result> => {
      const argv = [
        'bash',
        '-o',
        'pipefail',
        '-c',
        `${script} && times >&2`,
        'bench',
        source,
        bench.tar,
        bench.s3,
        bench.stored,
      ];
      const result = await measure(argv, bench.env);
      return { ...result, cpuSeconds: cpuOf(result.stderr), streaming: result.seconds };
    };
    return on === 'tree'
      ? withMounted(bench.image, null, measured)
      : withDevice(bench.image, null, { readOnly: true }, measured);
  };

/** What `times` says of the shell's children: `0m1.234s 0m0.567s`. */
const cpuOf = (stderr: string): number =>
  [...(stderr.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  );

const TAR = 'tar --create --format=pax --numeric-owner --acls --selinux --xattrs --sparse --file=- -C "$1" .';
const UNTAR = 'tar --extract --numeric-owner --acls --selinux --xattrs --xattrs-include=\'*\' --file=- -C "$d"';
const AWS = '/usr/bin/aws --endpoint-url "$3" s3 cp --quiet';
const AWS_S3 = '/usr/bin/aws --endpoint-url ENDPOINT s3';

const fetchArchive = (layout: 'tar' | 'img') =>
  `${AWS} "s3://bench/$(${AWS_S3.replace('ENDPOINT', '"$3"')} ls --recursive s3://bench/ | grep -o 'vol-.*${layout}.lz4$')" -`;

/** A volume has whole GiB, so that its image may continue beyond the end of the disk. */
const CMP = '{ cmp --bytes="$(blockdev --getsize64 "$1")" - "$1" && cat > /dev/null; }';

/** tar exits with 1 for any difference, such as the times of directories. */
const DIFF = '(tar --diff --file=- -C "$1" || true) > /dev/null 2>&1';

interface Group {
  name: string;
  data: 'tree' | 'image';
  setUp?: (bench: Bench) => Promise<void>;
  /** So many of ours come first, then what they are compared with. */
  ours: number;
  contestants: Contestant[];
}

const GROUPS: Group[] = [
  {
    name: 'tree, tar and lz4 -1',
    data: 'tree',
    ours: 2,
    contestants: [
      { name: 'migrate into the lab', run: migrate('lab') },
      { name: 'migrate into a sink', run: migrate('sink') },
      { name: 'tar | lz4 > /dev/null', run: shell('tree', `${TAR} | lz4 -1 -z -c - > /dev/null`) },
      { name: 'lz4 alone', run: shell('tree', 'lz4 -1 -z -c "$2" > /dev/null') },
      { name: 'tar | lz4 | aws s3 cp -', run: shell('tree', `${TAR} | lz4 -1 -z -c - | ${AWS} - s3://bench/cli`) },
    ],
  },
  {
    name: 'tree, tar and zstd -1',
    data: 'tree',
    ours: 2,
    contestants: [
      { name: 'migrate into the lab', run: migrate('lab', '--compression', 'zstd') },
      { name: 'migrate into a sink', run: migrate('sink', '--compression', 'zstd') },
      { name: 'tar | zstd > /dev/null', run: shell('tree', `${TAR} | zstd -1 -T0 -q -c - > /dev/null`) },
      { name: 'zstd alone', run: shell('tree', 'zstd -1 -T0 -q -c "$2" > /dev/null') },
      {
        name: 'tar | zstd | aws s3 cp -',
        run: shell('tree', `${TAR} | zstd -1 -T0 -q -c - | ${AWS} - s3://bench/cli`),
      },
    ],
  },
  {
    name: 'image, lz4 -1',
    data: 'image',
    ours: 2,
    contestants: [
      { name: 'migrate --dd into the lab', run: migrate('lab', '--dd') },
      { name: 'migrate --dd into a sink', run: migrate('sink', '--dd') },
      { name: 'lz4 alone', run: shell('device', 'lz4 -1 -z -c < "$1" > /dev/null') },
      { name: 'lz4 | aws s3 cp -', run: shell('device', `lz4 -1 -z -c < "$1" | ${AWS} - s3://bench/cli`) },
    ],
  },
  {
    name: 'validate a tree, lz4',
    data: 'tree',
    setUp: archive('tar'),
    ours: 3,
    contestants: [
      { name: 'validate from the lab', run: validate },
      { name: 'validate, untar and hash', run: validateStage('alone') },
      { name: 'validate, without the store', run: validateStage('disk') },
      { name: 'lz4 -d alone', run: shell('tree', 'lz4 -d -c "$4" > /dev/null') },
      { name: 'lz4 -d, only read', run: validateStage('read') },
      { name: 'lz4 -d, a loop that hashes', run: validateStage('hash') },
      { name: 'lz4 -d into a pipe', run: shell('tree', 'lz4 -d -c "$4" | cat > /dev/null') },
      {
        name: 'the tree by md5sum, twice',
        run: shell('tree', 'cd "$1" && find . -type f -print0 | xargs -0 -P2 -n 64 md5sum > /dev/null'),
      },
      {
        name: 'lz4 -d | tar --diff',
        run: shell('tree', `lz4 -d -c "$4" | ${DIFF}`),
      },
      {
        name: 'aws s3 cp | lz4 -d | tar --diff',
        run: shell('tree', `${fetchArchive('tar')} | lz4 -d -c | ${DIFF}`),
      },
    ],
  },
  {
    name: 'restore a tree, lz4',
    data: 'tree',
    setUp: archive('tar'),
    ours: 1,
    contestants: [
      { name: 'restore --to-dir', run: restore('--to-dir') },
      { name: 'lz4 -d | tar -x', run: shell('tree', `d=$(mktemp -d) && lz4 -d -c "$4" | ${UNTAR}`) },
      {
        name: 'aws s3 cp | lz4 -d | tar -x',
        run: shell('tree', `d=$(mktemp -d) && ${fetchArchive('tar')} | lz4 -d -c | ${UNTAR}`),
      },
    ],
  },
  {
    name: 'restore an image, lz4',
    data: 'image',
    setUp: archive('img', '--dd'),
    ours: 1,
    contestants: [
      { name: 'restore --to-file', run: restore('--to-file') },
      { name: 'lz4 -d | dd', run: shell('device', 'lz4 -d -c "$4" | dd of="$(mktemp)" bs=1M conv=fsync status=none') },
      {
        name: 'aws s3 cp | lz4 -d | dd',
        run: shell('device', `${fetchArchive('img')} | lz4 -d -c | dd of="$(mktemp)" bs=1M conv=fsync status=none`),
      },
      { name: 'the raw bytes', run: shell('device', 'dd if="$1" of="$(mktemp)" bs=1M conv=fsync status=none') },
    ],
  },
  {
    name: 'validate an image, lz4',
    data: 'image',
    setUp: archive('img', '--dd'),
    ours: 1,
    contestants: [
      { name: 'validate --dd from the lab', run: validate },
      { name: 'lz4 -d alone', run: shell('device', 'lz4 -d -c "$4" > /dev/null') },
      { name: 'lz4 -d | cmp', run: shell('device', `lz4 -d -c "$4" | ${CMP}`) },
      { name: 'aws s3 cp | lz4 -d | cmp', run: shell('device', `${fetchArchive('img')} | lz4 -d -c | ${CMP}`) },
    ],
  },
];

await main();

async function main(): Promise<void> {
  const sink = fork(join(import.meta.dirname, 'sink.ts'), { stdio: 'inherit' });
  try {
    const [sinkUrl] = (await once(sink, 'message')) as [string];
    const bench = await prepare(sinkUrl);
    say(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.versions.node}, ${values.rounds} rounds`);
    await compareAll(bench);
  } finally {
    sink.kill();
    await labDown(join(directory, 'lab'));
    await rm(directory, { recursive: true, force: true });
  }
}

async function prepare(sink: string): Promise<Bench> {
  const [image, tar] = [join(directory, 'disk.img'), join(directory, 'tree.tar')];
  mkdirSync(join(directory, 'mnt'));
  await buildBenchDisk(image, Number(values.tree), Number(values.disk));
  const lab = await labUp({ directory: join(directory, 'lab') });
  const control = new LabControl(lab.endpoints.control);
  await control.addBucket('bench');
  const { snapshotId } = await control.addSnapshot({ imagePath: image });
  const stored = join(directory, 'stored');
  const scratch = join(directory, 'tmp');
  mkdirSync(scratch);
  const env = { PATH: process.env['PATH'], HOME: directory, TMPDIR: scratch, ...lab.environment };
  return { env, snapshotId, image, tar, stored, sink, s3: lab.endpoints.s3 };
}

async function compareAll(bench: Bench): Promise<void> {
  await withMounted(bench.image, null, (tree) => run(['bash', '-c', `${TAR} > "$2"`, 'bench', tree, bench.tar]));
  for (const group of GROUPS.filter(({ name }) => name.includes(values.only))) {
    const { name, data, contestants } = group;
    await group.setUp?.(bench);
    const gigabytes = statSync(data === 'tree' ? bench.tar : bench.image).size / 1e9;
    say(`\n${name} (${gigabytes.toFixed(2)} GB)`);
    report(group, await takeTurns(contestants, bench), gigabytes);
  }
}

/** @returns rounds of results, each in the order of the contestants. */
async function takeTurns(contestants: readonly Contestant[], bench: Bench): Promise<Result[][]> {
  const rounds: Result[][] = [];
  const warmUp = Number(values['warm-up']);
  for (let round = 0; round < warmUp + Number(values.rounds); round++) {
    const results: Result[] = [];
    for (const contestant of contestants) {
      await run(['sync']);
      results.push(await contestant.run(bench));
    }
    if (round >= warmUp) rounds.push(results);
  }
  return rounds;
}

function report({ contestants, ours: count }: Group, rounds: readonly Result[][], gigabytes: number): void {
  for (const [at, { name }] of contestants.entries()) {
    const column = (pick: (result: Result) => number) => median(rounds.map((round) => pick(round[at] as Result)));
    const speed = (gigabytes * 1000) / column(({ streaming }) => streaming);
    const cpu = column(({ cpuSeconds }) => cpuSeconds) / gigabytes;
    const own = column(({ ownCpuSeconds }) => ownCpuSeconds) / gigabytes;
    const memory = /^(migrate|validate)/.test(name)
      ? `, own process ${own.toFixed(2)} and ${column(({ peakMiB }) => peakMiB).toFixed(0)} MiB`
      : '';
    say(`  ${name.padEnd(32)} ${speed.toFixed(0).padStart(5)} MB/s, ${cpu.toFixed(2)} CPU s/GB${memory}`);
  }
  for (const ours of contestants.keys()) {
    for (const other of contestants.keys()) {
      if (ours >= count || other < count) continue;
      const ratio = (pick: (result: Result) => number) =>
        median(rounds.map((round) => pick(round[other] as Result) / pick(round[ours] as Result))).toFixed(2);
      const [speed, cpu] = [ratio(({ streaming }) => streaming), ratio(({ cpuSeconds }) => cpuSeconds)];
      say(
        `  ${contestants[ours]?.name}: ${speed} times the speed, ${cpu} times the work per CPU second of ${contestants[other]?.name}`,
      );
    }
  }
}
