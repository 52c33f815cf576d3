/** The program works with the gateway of Ceph, an independent implementation of S3. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, test } from 'node:test';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { run } from '../../lab/core/run.ts';
import { withMounted } from '../../lab/disks/inspect.ts';
import { s3Client } from '../../src/cloud/aws/clients.ts';
import { networkOf } from '../../src/cloud/aws/network.ts';
import { s3ArchiveStore } from '../../src/cloud/aws/s3/archive-store.ts';
import type { Part } from '../../src/transfer/part-reader.ts';
import { uploadParts } from '../../src/transfer/upload.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, type RunOptions, runMigrate, type TestLab } from '../support/lab.ts';
import { removeDirectory } from '../support/remove-directory.ts';
import { compareTrees } from '../support/trees/compare-trees.ts';
import { makeNastyTree } from '../support/trees/nasty-tree.ts';
import { type Gateway, startGateway } from './ceph.ts';

const directory = mkdtempSync(join(tmpdir(), 'snap-to-s3-rgw-'));
let gateway: Gateway;
let s3: S3Client;

after(async () => {
  s3?.destroy();
  await gateway?.[Symbol.asyncDispose]();
  removeDirectory(directory);
});

before(async () => {
  gateway = await startGateway(directory);
  s3 = new S3Client({
    region: 'us-east-1',
    endpoint: gateway.url,
    forcePathStyle: true,
    credentials: gateway.credentials,
  });
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
});

const migrateToStranger = (lab: TestLab, argv: string[], options: RunOptions = {}) =>
  runMigrate(lab, ['--all', '--endpoint-url', gateway.url, ...argv], options);

async function keysAndUploads() {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET }));
  const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
  return { keys: Contents.map(({ Key = '' }) => Key), uploads: Uploads.map(({ UploadId = '' }) => UploadId) };
}

/** Returns the parts of the keys that follow the id of the snapshot, sorted. */
const suffixes = (keys: readonly string[]): string[] => keys.map((key) => key.replace(/^.* snap-[0-9a-f]+/, '')).sort();

async function emptyBucket(): Promise<void> {
  for (const Key of (await keysAndUploads()).keys) await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }));
}

test('a migration is stored completely, with metadata, tags and storage class', async (t) => {
  const lab = await labForTest(t);
  const populate = async (into: string) => {
    await makeNastyTree(join(into, 'nasty'));
    await run(['dd', 'if=/dev/urandom', `of=${join(into, 'noise')}`, 'bs=1M', 'count=60', 'status=none']);
  };
  const disk = await addSnapshotOf(
    lab,
    { table: 'gpt', partitions: [{ content: 'ext4', sizeMiB: 640, populate }] },
    { description: 'größer', tags: { 'snap-to-s3': 'migrate', Name: 'web 1' } },
  );
  const done = await migrateToStranger(lab, ['--storage-class', 'STANDARD_IA']);
  assert.equal(done.code, 0, done.stderr);
  const { keys, uploads } = await keysAndUploads();
  assert.deepEqual(uploads, []);
  assert.deepEqual(suffixes(keys), ['.1.index.zst', '.1.tar.lz4', '.manifest.json']);
  const Key = keys.find((key) => key.endsWith('.1.tar.lz4')) ?? '';
  const head = await s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key }));
  assert.equal(head.StorageClass, 'STANDARD_IA');
  assert.equal(head.Metadata?.['snapshot-snapshotid'], disk.snapshotId);
  const { TagSet } = await s3.send(new GetObjectTaggingCommand({ Bucket: BUCKET, Key }));
  assert.deepEqual(TagSet, [{ Key: 'Name', Value: 'web 1' }]);

  const file = join(lab.directory, 'archive');
  const into = join(lab.directory, 'restored');
  mkdirSync(into);
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
  await pipeline(Body as Readable, createWriteStream(file));
  await run([
    'bash',
    '-o',
    'pipefail',
    '-c',
    'lz4 -d -c "$1" | tar -xp --numeric-owner --xattrs --xattrs-include=\'*\' --warning=no-timestamp -C "$2"',
    'x',
    file,
    into,
  ]);
  const { list } = await withMounted(disk.image, 1, (original) => compareTrees(original, into));
  assert.deepEqual(list, []);
  await emptyBucket();
});

test('an interrupted migration leaves no upload, and succeeds when it is run again', async (t) => {
  const lab = await labForTest(t);
  const populate = async (into: string) =>
    void (await run(['dd', 'if=/dev/urandom', `of=${join(into, 'noise')}`, 'bs=1M', 'count=200', 'status=none']));
  await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'ext4', sizeMiB: 300, populate }] });
  const ended = new AbortController();
  const stopped = await migrateToStranger(lab, ['--upload-streams', '1'], {
    onLine: (line, signal) => {
      if (/: storing /.test(line)) void uploadBegun(ended.signal).then(() => signal('SIGINT'));
    },
  });
  ended.abort();
  assert.equal(stopped.code, 130, stopped.stderr);
  assert.deepEqual(await keysAndUploads(), { keys: [], uploads: [] });
  const done = await migrateToStranger(lab, []);
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(suffixes((await keysAndUploads()).keys), ['.index.zst', '.manifest.json', '.tar.lz4']);
  await emptyBucket();
});

async function uploadBegun(ended: AbortSignal): Promise<void> {
  while (!ended.aborted && (await keysAndUploads()).uploads.length === 0);
}

test('many parts are uploaded concurrently, and read back unchanged', async () => {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: gateway.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: gateway.credentials.secretAccessKey,
  });
  const settings = {
    region: 'us-east-1',
    s3Endpoint: gateway.url,
    forcePathStyle: true,
    callTimeout: 30,
    network: networkOf({}),
    onRetry: () => {},
  };
  const clients = { control: s3Client(settings, 'control'), transfer: s3Client(settings, 'transfer') };
  const store = s3ArchiveStore(clients, { bucket: BUCKET, storageClass: 'STANDARD', tagAfterUpload: false });
  const buffers = Array.from({ length: 12 }, (_, index) => randomBytes(index === 11 ? 1 : 5 * 2 ** 20));
  async function* parts(): AsyncGenerator<Part> {
    for (const [index, bytes] of buffers.entries()) yield { number: index + 1, bytes, release: () => {} };
  }
  const { object } = await uploadParts(parts(), store.object({ key: 'parts +ü', metadata: {}, tags: {} }), {
    streams: 4,
    signal: new AbortController().signal,
    verdict: async () => {},
    onStored: () => {},
    onCreated: async () => ({ [Symbol.dispose]: () => {} }),
    resume: null,
    leave: () => false,
  });
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'parts +ü' }));
  const hash = createHash('sha256');
  for await (const chunk of Body as Readable) hash.update(chunk as Buffer);
  assert.equal(hash.digest('hex'), createHash('sha256').update(Buffer.concat(buffers)).digest('hex'));
  assert.equal(object.bytes, 55 * 2 ** 20 + 1);
  await emptyBucket();
});
