/**
 * Compares the speed of migrate, validate and restore with that of commands that a user would type instead.
 *
 *   npm run bench -- [--rounds 3] [--warm-up 1] [--tree 2048] [--disk 4096] [--only validate] [--record]     sizes in MiB
 *
 * Each round runs every contestant once, so that all of them meet the same disturbances. The first rounds warm up
 * caches and do not count. All contestants read from a new loop device, whose file is in memory and whose own cache is
 * empty. `--record` writes the results to docs/development/performance.md.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LabControl } from '../lab/control/client.ts';
import { labDown, labUp } from '../lab/control/manage.ts';
import { run } from '../lab/core/run.ts';
import { withMounted } from '../lab/disks/inspect.ts';
import { removeDirectory } from '../test/support/remove-directory.ts';
import { type Bench, type Contestant, type Result, TAR } from './contestants.ts';
import { buildBenchDisk } from './data.ts';
import { GROUPS } from './groups.ts';
import { publishedProgram } from './program.ts';
import { recorder } from './record.ts';
import { report } from './report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '1' },
    tree: { type: 'string', default: '2048' },
    disk: { type: 'string', default: '4096' },
    only: { type: 'string', default: '' },
    record: { type: 'boolean', default: false },
  },
});

const record = recorder('npm run bench', values);

const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-bench-'));
const scratch = join(directory, 'tmp');

await main();

async function main(): Promise<void> {
  const sink = fork(join(import.meta.dirname, 'sink.ts'), { stdio: 'inherit' });
  try {
    const [sinkUrl] = (await once(sink, 'message')) as [string];
    const bench = await prepare(sinkUrl);
    for (const group of GROUPS.filter(({ name }) => name.includes(values.only))) {
      await group.setUp?.(bench);
      const gigabytes = statSync(group.data === 'tree' ? bench.tar : bench.image).size / 1e9;
      const lines = report(group, await takeTurns(group.contestants, bench), gigabytes);
      record.add(group.section, ['', `${group.name} (${gigabytes.toFixed(2)} GB)`, ...lines]);
    }
    if (values.record) record.write();
  } finally {
    sink.kill();
    await labDown(join(directory, 'lab'));
    removeDirectory(directory);
  }
}

async function prepare(sink: string): Promise<Bench> {
  const [image, tar] = [join(directory, 'disk.img'), join(directory, 'tree.tar')];
  for (const path of [scratch, join(directory, 'mnt')]) mkdirSync(path);
  await buildBenchDisk(image, Number(values.tree), Number(values.disk));
  const lab = await labUp({ directory: join(directory, 'lab') });
  const control = new LabControl(lab.endpoints.control);
  await control.addBucket('bench');
  const { snapshotId } = await control.addSnapshot({ imagePath: image });
  const stored = join(directory, 'stored');
  const env = { PATH: process.env['PATH'], HOME: directory, TMPDIR: scratch, ...lab.environment };
  await withMounted(image, null, (tree) => run(['bash', '-c', `${TAR} > "$2"`, 'bench', tree, tar]));
  const program = await publishedProgram();
  return { env, directory, program, snapshotId, image, tar, stored, sink, s3: lab.endpoints.s3 };
}

/** Returns a list of rounds. Each round is a list of results in the order of the contestants. */
async function takeTurns(contestants: readonly Contestant[], bench: Bench): Promise<Result[][]> {
  const rounds: Result[][] = [];
  const warmUp = Number(values['warm-up']);
  for (let round = 0; round < warmUp + Number(values.rounds); round++) {
    const results: Result[] = [];
    for (const contestant of contestants) {
      await run(['sync']);
      results.push(await contestant.run(bench));
      removeDirectory(scratch);
      mkdirSync(scratch);
    }
    if (round >= warmUp) rounds.push(results);
  }
  return rounds;
}
