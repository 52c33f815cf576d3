/**
 * Demonstrates the main job on the local cloud: a disk becomes a snapshot, an archive, and files again.
 *
 *   npm run demo -- [--files 320]      MiB of files of this machine
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs, styleText } from 'node:util';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { LabControl } from '../lab/control/client.ts';
import { run } from '../lab/core/run.ts';
import { buildDisk } from '../lab/disks/build.ts';
import { withMounted } from '../lab/disks/inspect.ts';
import { startLab } from '../lab/index.ts';
import { removeDirectory } from '../test/support/remove-directory.ts';
import { compareTrees } from '../test/support/trees/compare-trees.ts';
import { makeNastyTree } from '../test/support/trees/nasty-tree.ts';
import { makeRealFiles } from '../test/support/trees/trees.ts';

const { values } = parseArgs({ options: { files: { type: 'string', default: '320' } } });
const REAL_FILES = Number(values.files) * 2 ** 20;
const BUCKET = 'backups';

/** Prints text, which is bold on terminals only. */
const say = (text: string) => process.stdout.write(`\n${styleText('bold', text, { stream: process.stdout })}\n`);
const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-demo-'));
const cleanup = new AsyncDisposableStack();
cleanup.defer(() => removeDirectory(directory));

async function demonstrate(): Promise<void> {
  say('1. A disk: GPT with ext4, xfs, swap and a BIOS boot partition, and files of this machine on it');
  const image = join(directory, 'disk.img');
  await makeDisk(image);

  say('2. The disk becomes a snapshot of the local cloud');
  const lab = cleanup.use(await startLab({ directory: join(directory, 'lab') }));
  const control = new LabControl(lab.endpoints.control);
  await makeSnapshot(image, control);

  say(`3. snap-to-s3 migrate --all --bucket ${BUCKET}`);
  await migrate(lab.environment());

  say('4. What is in the bucket');
  const s3 = new S3Client({
    region: 'us-east-1',
    endpoint: lab.endpoints.s3,
    forcePathStyle: true,
    credentials: credentialsOf(lab.environment()),
  });
  const keys = await showObjects(s3);

  say(
    '5. Restored with lz4 and tar alone, and compared file by file: content, owners, modes, times, links, xattrs, ACLs',
  );
  for (const partition of ['2', '3']) {
    const key = keys.find((name) => name.endsWith(`.${partition}.tar.lz4`)) ?? '';
    const restored = join(directory, 'restored', partition);
    await restore(s3, key, restored);
    await compare(image, partition, restored);
  }

  say('6. What is left behind');
  await showLeftovers(control);
}

async function makeDisk(path: string): Promise<void> {
  await buildDisk({
    path,
    table: 'gpt',
    partitions: [
      { content: 'bios-boot', sizeMiB: 1 },
      { content: 'ext4', sizeMiB: 640, label: 'root', populate: fillRoot },
      { content: 'xfs', sizeMiB: 320, label: 'data', populate: fillData },
      { content: 'swap', sizeMiB: 16 },
    ],
  });
  process.stdout.write(await run(['sfdisk', '--list', path]));
}

async function makeSnapshot(imagePath: string, control: LabControl): Promise<void> {
  await control.addBucket(BUCKET);
  const { snapshotId } = await control.addSnapshot({
    imagePath,
    description: 'demo',
    tags: { 'snap-to-s3': 'migrate' },
  });
  process.stdout.write(`${snapshotId}\n`);
}

async function migrate(labEnvironment: Record<string, string>): Promise<void> {
  const program = join(import.meta.dirname, '..', 'src', 'bin.ts');
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory, ...labEnvironment };
  await runVisibly([process.execPath, program, 'migrate', '--all', '--bucket', BUCKET], env);
}

/** @returns the keys of the objects. */
async function showObjects(s3: S3Client): Promise<string[]> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET }));
  for (const { Key, Size } of Contents) process.stdout.write(`${String(Size).padStart(12)}  ${Key}\n`);
  return Contents.map(({ Key = '' }) => Key);
}

async function compare(image: string, partition: string, restored: string): Promise<void> {
  const differences = await withMounted(image, Number(partition), (original) => compareTrees(original, restored));
  process.stdout.write(
    `partition ${partition}: ${differences.compared} entries, ${differences.list.length} differences\n`,
  );
  for (const difference of differences.list) process.stdout.write(`  ${difference}\n`);
  if (differences.list.length > 0) process.exitCode = 1;
}

async function showLeftovers(control: LabControl): Promise<void> {
  const leftovers = await control.leftovers();
  process.stdout.write(leftovers.length === 0 ? 'nothing\n' : `${JSON.stringify(leftovers)}\n`);
  if (leftovers.length > 0) process.exitCode = 1;
}

async function fillRoot(into: string): Promise<void> {
  await makeRealFiles(join(into, 'usr'), REAL_FILES);
  await makeNastyTree(join(into, 'nasty'));
}

async function fillData(into: string): Promise<void> {
  await makeRealFiles(join(into, 'files'), REAL_FILES / 8);
  await makeNastyTree(join(into, 'nasty'));
}

const credentialsOf = (env: Record<string, string>) => ({
  accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '',
  secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '',
});

async function restore(s3: S3Client, key: string, into: string): Promise<void> {
  mkdirSync(into, { recursive: true });
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
  const file = join(directory, 'archive.tar.lz4');
  await pipeline(Body as NodeJS.ReadableStream, createWriteStream(file));
  process.stdout.write(`lz4 -d | tar -x   ${key}\n`);
  const tar =
    'lz4 -d -c -- "$1" | tar --extract --numeric-owner --acls --xattrs --xattrs-include="*" --warning=no-timestamp --directory "$2"';
  await runVisibly(['bash', '-o', 'pipefail', '-c', tar, 'restore', file, into], process.env);
  rmSync(file);
}

/** Does not block, because the lab runs in this process and must be able to respond. */
async function runVisibly([tool = '', ...args]: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const [status] = await once(spawn(tool, args, { stdio: 'inherit', env }), 'close');
  if (status !== 0) throw new Error(`${tool} failed (exit ${status})`);
}

try {
  await demonstrate();
} finally {
  await cleanup.disposeAsync();
}
