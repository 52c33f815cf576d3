/** Changes disks and objects without the knowledge of the program. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import { filesystemType, partitionPlace } from '../../lab/disks/inspect.ts';
import { withDevice, withFilesystem } from '../../lab/disks/mounted.ts';
import { BUCKET, runProgram, type TestLab } from './lab.ts';

/** The path of the image of a snapshot in the lab. */
export function imageOf(lab: TestLab, snapshotId: string): string {
  const directory = join(lab.directory, '..', 'lab', 'ec2', 'snapshots');
  const name = readdirSync(directory).find((entry) => entry.startsWith(snapshotId));
  if (!name) throw new Error(`the lab has no image of ${snapshotId}`);
  return join(directory, name);
}

/** Mounts a filesystem of a snapshot for writing. The times of its root directory do not change. */
export async function changeDisk(
  lab: TestLab,
  snapshotId: string,
  partition: number | null,
  change: (directory: string) => Promise<void>,
): Promise<void> {
  const image = imageOf(lab, snapshotId);
  const place = partition === null ? null : await partitionPlace(image, partition);
  await withDevice(image, place, { readOnly: false }, async (device) =>
    withFilesystem(device, await filesystemType(device), {}, (directory) =>
      keepingTimes(directory, () => change(directory)),
    ),
  );
}

/** Calls `change`, which changes entries of a directory, and keeps the times of the directory. */
export async function keepingTimes(directory: string, change: () => Promise<void>): Promise<void> {
  const reference = mkdtempSync(join(tmpdir(), 'snap-to-s3-times-'));
  try {
    await run(['touch', '--no-dereference', '--reference', directory, reference]);
    await change();
    await run(['touch', '--no-dereference', '--reference', reference, directory]);
  } finally {
    rmSync(reference, { recursive: true });
  }
}

export async function bytesOf(lab: TestLab, key: string): Promise<Buffer> {
  const { Body } = await lab.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

/** Replaces the bytes of an object, and keeps its metadata and class. */
export async function replaceObject(lab: TestLab, key: string, bytes: Buffer): Promise<void> {
  const { Metadata, StorageClass } = await lab.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key }));
  await lab.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: bytes, Metadata, StorageClass }));
}

/** Pipes bytes through a program, to decode or encode an object. */
export async function through(argv: readonly string[], input: Buffer): Promise<Buffer> {
  const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-through-'));
  try {
    writeFileSync(join(directory, 'in'), input);
    const script = '"$@" < "$IN" > "$OUT"';
    const env = { PATH: process.env['PATH'] ?? '', IN: join(directory, 'in'), OUT: join(directory, 'out') };
    const done = await runProgram(['bash', '-c', script, 'through', ...argv], { env });
    if (done.code !== 0) throw new Error(`${argv[0]}: ${done.stderr}`);
    return readFileSync(join(directory, 'out'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
