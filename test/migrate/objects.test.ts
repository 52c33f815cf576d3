/** Objects have the documented keys, metadata, tags, class and encryption. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GetObjectTaggingCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { readHeaderValue } from '../../src/archive/metadata.ts';
import { keyEnding, keysIn, readManifest } from '../support/archives.ts';
import { addSnapshotOf } from '../support/disks.ts';
import { BUCKET, labForTest, runMigrate, type TestLab } from '../support/lab.ts';

const head = (lab: TestLab, Key: string) =>
  lab.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key, ChecksumMode: 'ENABLED' }));

async function objectTags(lab: TestLab, Key: string): Promise<Record<string, string>> {
  const { TagSet = [] } = await lab.s3.send(new GetObjectTaggingCommand({ Bucket: BUCKET, Key }));
  return Object.fromEntries(TagSet.map(({ Key: name = '', Value = '' }) => [name, Value]));
}

test('metadata and tags are those of version 0', async (t) => {
  const lab = await labForTest(t);
  const disk = await addSnapshotOf(lab, undefined, {
    startTime: '2017-01-01T12:34:56.789Z',
    description: 'nightly (web) backup',
    dataBytes: 7_340_032,
    tags: { 'snap-to-s3': 'migrate', Name: 'web & mail', 'größe/日本': 'a+b@c', 'aws:autoscaling': 'x' },
  });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  const stem = `${disk.volumeId}/2017-01-01T12:34:56+00:00 ${disk.snapshotId}`;
  assert.deepEqual(await keysIn(lab), [`${stem}.index.zst`, `${stem}.manifest.json`, `${stem}.tar.lz4`]);
  const { Metadata = {}, ContentType, ChecksumCRC32, ContentLength } = await head(lab, `${stem}.tar.lz4`);
  assert.deepEqual(
    { ...Metadata, 'uncompressed-size': typeof Metadata['uncompressed-size'] },
    {
      'snapshot-starttime': '2017-01-01T12:34:56+00:00',
      'snapshot-snapshotid': disk.snapshotId,
      'snapshot-volumesize': '1',
      'snapshot-volumeid': disk.volumeId,
      'snapshot-description': 'nightly (web) backup',
      'archive-format': '1',
      'uncompressed-size': 'string',
    },
  );
  assert.equal(ContentType, 'application/octet-stream');
  assert.deepEqual(await objectTags(lab, `${stem}.tar.lz4`), { Name: 'web _ mail', 'größe/日本': 'a+b@c' });
  const manifest = await readManifest(lab);
  assert.equal(manifest.snapshot.tags['Name'], 'web & mail');
  assert.equal(manifest.snapshot.dataBytes, 7_340_032);
  const [object] = manifest.objects;
  assert.equal(object?.storedBytes, ContentLength);
  assert.equal(object?.checksum?.value, ChecksumCRC32);
});

test('a long description with characters that headers cannot carry is cut in the metadata, not in the manifest', async (t) => {
  const lab = await labForTest(t);
  const long = 'ü—日本語 '.repeat(31).trim();
  await addSnapshotOf(lab, undefined, { description: long, tags: { 'snap-to-s3': 'migrate' } });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  const { Metadata = {} } = await head(lab, await keyEnding(lab, '.tar.lz4'));
  assert.ok(long.startsWith(readHeaderValue(Metadata['snapshot-description'] ?? 'missing')));
  assert.equal((await readManifest(lab)).snapshot.description, long);
});

test('more tags than S3 allows: ten are copied, the others are reported and in the manifest', async (t) => {
  const lab = await labForTest(t);
  const tags = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`key ${index}`, `value ${index}`]));
  await addSnapshotOf(lab, undefined, { tags: { ...tags, 'snap-to-s3': 'migrate' } });
  const done = await runMigrate(lab, ['--all']);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stderr, /tags not copied \(S3 allows 10 tags per object\): key 10, key 11/);
  assert.equal(Object.keys(await objectTags(lab, await keyEnding(lab, '.tar.lz4'))).length, 10);
  assert.equal((await readManifest(lab)).snapshot.tags['key 29'], 'value 29');
});

test('--prefix, --storage-class and --sse-kms-key-id: data in that class, index and manifest in Standard', async (t) => {
  const lab = await labForTest(t);
  await addSnapshotOf(lab);
  const where = [
    '--prefix',
    '/team/ebs/',
    '--storage-class',
    'DEEP_ARCHIVE',
    '--expected-bucket-owner',
    '123456789012',
  ];
  const done = await runMigrate(lab, ['--all', ...where, '--sse', 'aws:kms', '--sse-kms-key-id', 'alias/mine']);
  assert.equal(done.code, 0, done.stderr);
  const [index = '', manifest = '', tar = ''] = await keysIn(lab);
  assert.match(tar, /^team\/ebs\/vol-/);
  const [data, small, lines] = [await head(lab, tar), await head(lab, manifest), await head(lab, index)];
  assert.equal(data.StorageClass, 'DEEP_ARCHIVE');
  assert.deepEqual([small.StorageClass, lines.StorageClass], [undefined, undefined]);
  for (const { ServerSideEncryption, SSEKMSKeyId } of [data, small, lines]) {
    assert.deepEqual([ServerSideEncryption, SSEKMSKeyId], ['aws:kms', 'alias/mine']);
  }
});

test('an upload of many parts has full parts, and a checksum of the whole object', async (t) => {
  const { run } = await import('../../lab/core/run.ts');
  const { join } = await import('node:path');
  const lab = await labForTest(t);
  const populate = (directory: string) =>
    run(['dd', 'if=/dev/urandom', `of=${join(directory, 'noise')}`, 'bs=1M', 'count=150', 'status=none']).then(
      () => {},
    );
  await addSnapshotOf(lab, { table: 'none', partitions: [{ content: 'ext4', sizeMiB: 200, populate }] });
  const done = await runMigrate(lab, ['--all', '--upload-streams', '8']);
  assert.equal(done.code, 0, done.stderr);
  const { ContentLength = 0, ETag, ChecksumType } = await head(lab, await keyEnding(lab, '.tar.lz4'));
  const parts = Math.ceil(ContentLength / (8 * 2 ** 20));
  assert.ok(parts > 10 && ETag?.endsWith(`-${parts}"`), `${ETag} of ${ContentLength} bytes`);
  assert.equal(ChecksumType, 'FULL_OBJECT');
});
