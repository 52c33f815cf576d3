/** Uses S3 of the lab with the AWS SDK. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  paginateListObjectsV2,
  RestoreObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { crc32Of, encodeCrc32 } from '../../src/lib/bytes/crc32.ts';
import { BUCKET, credentialsOf, labForTest, type TestLab } from '../support/lab.ts';

const MiB = 2 ** 20;

const rejectsWith = (call: Promise<unknown>, name: string) =>
  assert.rejects(call, (error: Error) => {
    assert.equal(error.name, name, error.message);
    return true;
  });

const put = ({ s3 }: TestLab, Key: string, Body: string | Buffer, more: object = {}) =>
  s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body, ...more }));
const get = async ({ s3 }: TestLab, Key: string, more: object = {}) => {
  const answer = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key, ...more }));
  return { ...answer, bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []) };
};

test('objects are read back unchanged, whole and in ranges', async (t) => {
  const lab = await labForTest(t);
  const body = randomBytes(3 * MiB);
  const key = 'a/ü ?#%+&=\n"<>.bin';
  const { ETag } = await put(lab, key, body, { Metadata: { one: '1' }, ContentType: 'x/y', CacheControl: 'no-store' });
  assert.equal(ETag, `"${createHash('md5').update(body).digest('hex')}"`);
  const whole = await get(lab, key);
  assert.ok(whole.bytes.equals(body));
  assert.deepEqual([whole.Metadata, whole.ContentType, whole.CacheControl], [{ one: '1' }, 'x/y', 'no-store']);
  assert.ok((await get(lab, key, { Range: 'bytes=100-199' })).bytes.equals(body.subarray(100, 200)));
  assert.ok((await get(lab, key, { Range: 'bytes=-7' })).bytes.equals(body.subarray(-7)));
  await rejectsWith(get(lab, key, { Range: `bytes=${body.length}-` }), 'InvalidRange');
  await rejectsWith(get(lab, 'nothing'), 'NoSuchKey');
  await lab.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
  await rejectsWith(lab.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key })), 'NotFound');
});

test('bodies in signed chunks with trailing checksums', async (t) => {
  const lab = await labForTest(t);
  const chunks = [randomBytes(100_000), randomBytes(70_001)];
  const length = 170_001;
  await lab.s3.send(
    new PutObjectCommand({
      Bucket: BUCKET,
      Key: 'streamed',
      Body: Readable.from(chunks),
      ContentLength: length,
      ChecksumAlgorithm: 'SHA256',
    }),
  );
  const { bytes, ChecksumSHA256 } = await get(lab, 'streamed', { ChecksumMode: 'ENABLED' });
  assert.ok(bytes.equals(Buffer.concat(chunks)));
  assert.equal(ChecksumSHA256, createHash('sha256').update(bytes).digest('base64'));
});

test('wrong checksums are refused, and nothing is stored', async (t) => {
  const lab = await labForTest(t);
  const wrong = encodeCrc32(crc32Of(Buffer.from('other')).value);
  await rejectsWith(put(lab, 'x', 'body', { ChecksumCRC32: wrong }), 'BadDigest');
  await rejectsWith(
    put(lab, 'x', 'body', { ContentMD5: createHash('md5').update('other').digest('base64') }),
    'BadDigest',
  );
  await rejectsWith(get(lab, 'x'), 'NoSuchKey');
});

async function upload(lab: TestLab, Key: string, parts: Buffer[], more: object = {}) {
  const object = { Bucket: BUCKET, Key };
  const { UploadId } = await lab.s3.send(
    new CreateMultipartUploadCommand({ ...object, ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT', ...more }),
  );
  const Parts: { PartNumber: number; ETag?: string; ChecksumCRC32?: string }[] = [];
  for (const [index, Body] of parts.entries()) {
    const PartNumber = index + 1;
    const ChecksumCRC32 = encodeCrc32(crc32Of(Body).value);
    const { ETag = '' } = await lab.s3.send(
      new UploadPartCommand({ ...object, UploadId, PartNumber, Body, ChecksumCRC32 }),
    );
    Parts.push({ PartNumber, ETag, ChecksumCRC32 });
  }
  return { ...object, UploadId, Parts };
}

const complete = (
  lab: TestLab,
  { Parts, ...rest }: { Bucket: string; Key: string; UploadId: string | undefined; Parts: CompletedPart[] },
  more: object = {},
) => lab.s3.send(new CompleteMultipartUploadCommand({ ...rest, MultipartUpload: { Parts }, ...more }));

test('multipart: the object consists of the parts and their checksum; completion is idempotent', async (t) => {
  const lab = await labForTest(t);
  const parts = [randomBytes(5 * MiB), randomBytes(6 * MiB), randomBytes(7)];
  const whole = Buffer.concat(parts);
  const running = await upload(lab, 'large', parts, { Metadata: { kept: 'yes' }, Tagging: 'a=b' });
  const checksum = encodeCrc32(crc32Of(whole).value);
  const done = await complete(lab, running, { MpuObjectSize: whole.length, ChecksumCRC32: checksum });
  assert.match(done.ETag ?? '', /^"[0-9a-f]{32}-3"$/);
  assert.equal((await complete(lab, running)).ETag, done.ETag);
  const { bytes, Metadata, ChecksumCRC32, TagCount } = await get(lab, 'large', { ChecksumMode: 'ENABLED' });
  assert.ok(bytes.equals(whole));
  assert.deepEqual([Metadata, ChecksumCRC32, TagCount], [{ kept: 'yes' }, checksum, 1]);
  const attributes = await lab.s3.send(
    new GetObjectAttributesCommand({ Bucket: BUCKET, Key: 'large', ObjectAttributes: ['ObjectSize', 'Checksum'] }),
  );
  assert.equal(attributes.ObjectSize, whole.length);
});

/** The lab reads the parts again to combine these checksums, so that completions overlap. */
async function uploadWithCrc32c(lab: TestLab, Key: string, Body: string) {
  const object = { Bucket: BUCKET, Key };
  const checksum = { ChecksumAlgorithm: 'CRC32C', ChecksumType: 'FULL_OBJECT' } as const;
  const { UploadId } = await lab.s3.send(new CreateMultipartUploadCommand({ ...object, ...checksum }));
  const part = { ...object, UploadId, PartNumber: 1, Body, ChecksumAlgorithm: 'CRC32C' as const };
  const { ETag, ChecksumCRC32C } = await lab.s3.send(new UploadPartCommand(part));
  return { ...object, UploadId, Parts: [{ PartNumber: 1, ETag, ChecksumCRC32C }] };
}

test('a completion with If-None-Match meets objects, also its own, and one of two at the same time succeeds', async (t) => {
  const lab = await labForTest(t, { allowLeftovers: ['multipart-upload'] });
  const uploads = await Promise.all(['x', 'y', 'z'].map((text) => uploadWithCrc32c(lab, 'new', text)));
  const results = await Promise.allSettled(uploads.map((one) => complete(lab, one, { IfNoneMatch: '*' })));
  const refused = results.flatMap((result) => (result.status === 'rejected' ? [(result.reason as Error).name] : []));
  assert.deepEqual(refused, ['PreconditionFailed', 'PreconditionFailed']);
  const winner = uploads[results.findIndex(({ status }) => status === 'fulfilled')];
  assert.ok(winner);
  await rejectsWith(complete(lab, winner, { IfNoneMatch: '*' }), 'PreconditionFailed');
  await complete(lab, winner);
});

test('multipart: the rules', async (t) => {
  const lab = await labForTest(t);
  const small = await upload(lab, 'x', [Buffer.alloc(5 * MiB - 1), Buffer.alloc(1)]);
  await rejectsWith(complete(lab, small), 'EntityTooSmall');
  const [first, second] = small.Parts;
  assert.ok(first && second);
  await rejectsWith(complete(lab, { ...small, Parts: [second, first] }), 'InvalidPartOrder');
  await rejectsWith(complete(lab, { ...small, Parts: [second] }), 'InvalidPartOrder');
  await rejectsWith(complete(lab, { ...small, Parts: [{ ...first, ETag: '"00"' }] }), 'InvalidPart');
  await rejectsWith(complete(lab, { ...small, Parts: [] }), 'MalformedXML');
  await rejectsWith(complete(lab, { ...small, Parts: [first] }, { MpuObjectSize: 1 }), 'InvalidRequest');
  await rejectsWith(complete(lab, { ...small, Parts: [first] }, { ChecksumCRC32: 'AAAAAA==' }), 'BadDigest');
  const part = { Bucket: BUCKET, Key: 'x', UploadId: small.UploadId, Body: 'x' };
  await rejectsWith(lab.s3.send(new UploadPartCommand({ ...part, PartNumber: 10_001 })), 'InvalidArgument');
  await rejectsWith(
    lab.s3.send(new UploadPartCommand({ ...part, PartNumber: 1, ChecksumCRC32: 'AAAAAA==' })),
    'BadDigest',
  );
  const { Bucket, Key, UploadId } = small;
  await lab.s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  await rejectsWith(complete(lab, small), 'NoSuchUpload');
  await rejectsWith(get(lab, 'x'), 'NoSuchKey');
});

test('lists of parts, uploads and keys are paged', async (t) => {
  const lab = await labForTest(t, { pageSize: 2 });
  const one = await upload(lab, 'a', [Buffer.alloc(1), Buffer.alloc(2), Buffer.alloc(3)]);
  const two = await upload(lab, 'b', []);
  const three = await upload(lab, 'b', []);
  const { Bucket, Key, UploadId } = one;
  const page = await lab.s3.send(new ListPartsCommand({ Bucket, Key, UploadId }));
  assert.deepEqual([page.Parts?.length, page.IsTruncated, page.NextPartNumberMarker], [2, true, '2']);
  const rest = await lab.s3.send(new ListPartsCommand({ Bucket, Key, UploadId, PartNumberMarker: '2' }));
  assert.deepEqual([rest.Parts?.[0]?.Size, rest.IsTruncated], [3, false]);
  const seen: (string | undefined)[] = [];
  let marker: { KeyMarker?: string; UploadIdMarker?: string } = {};
  for (;;) {
    const found = await lab.s3.send(new ListMultipartUploadsCommand({ Bucket, ...marker }));
    seen.push(...(found.Uploads ?? []).map((item) => item.UploadId));
    if (!found.IsTruncated) break;
    marker = { KeyMarker: found.NextKeyMarker ?? '', UploadIdMarker: found.NextUploadIdMarker ?? '' };
  }
  assert.deepEqual(new Set(seen), new Set([one.UploadId, two.UploadId, three.UploadId]));
  for (const running of [one, two, three]) {
    await lab.s3.send(new AbortMultipartUploadCommand({ Bucket, Key: running.Key, UploadId: running.UploadId }));
  }
  for (const key of ['k/1', 'k/2', 'k/3', 'k/sub/4', 'k/sub/5', 'ü']) await put(lab, key, key);
  const keys: string[] = [];
  for await (const { Contents = [], CommonPrefixes = [] } of paginateListObjectsV2(
    { client: lab.s3 },
    { Bucket, Prefix: 'k/', Delimiter: '/' },
  )) {
    keys.push(...Contents.map((item) => item.Key ?? ''), ...CommonPrefixes.map((item) => item.Prefix ?? ''));
  }
  assert.deepEqual(keys, ['k/1', 'k/2', 'k/3', 'k/sub/']);
  await lab.s3.send(
    new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.slice(0, 3).map((name) => ({ Key: name })) } }),
  );
  assert.deepEqual(
    (await lab.s3.send(new ListBucketsCommand({}))).Buckets?.map(({ Name }) => Name),
    [BUCKET],
  );
});

test('conditional writes: one of two wins', async (t) => {
  const lab = await labForTest(t);
  const { ETag } = await put(lab, 'claim', 'one', { IfNoneMatch: '*' });
  await rejectsWith(put(lab, 'claim', 'two', { IfNoneMatch: '*' }), 'PreconditionFailed');
  await put(lab, 'claim', 'three', { IfMatch: ETag });
  await rejectsWith(put(lab, 'claim', 'four', { IfMatch: ETag }), 'PreconditionFailed');
  await rejectsWith(put(lab, 'free', 'x', { IfMatch: ETag }), 'NoSuchKey');
  assert.equal((await get(lab, 'claim')).bytes.toString(), 'three');
  const racing = await upload(lab, 'race', [Buffer.from('x')]);
  await put(lab, 'race', 'first');
  await rejectsWith(complete(lab, racing, { IfNoneMatch: '*' }), 'PreconditionFailed');
  const { Bucket, Key, UploadId } = racing;
  await lab.s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
});

test('tags and metadata within their limits', async (t) => {
  const lab = await labForTest(t);
  const tags = (count: number) => Array.from({ length: count }, (_, index) => `k${index}=v`).join('&');
  await put(lab, 'x', 'x', { Tagging: tags(10) });
  await rejectsWith(put(lab, 'x', 'x', { Tagging: tags(11) }), 'BadRequest');
  await rejectsWith(put(lab, 'x', 'x', { Tagging: 'a=%26' }), 'InvalidTag');
  await put(lab, 'x', 'x', { Metadata: { m: 'x'.repeat(2047) } });
  await rejectsWith(put(lab, 'x', 'x', { Metadata: { m: 'x'.repeat(2048) } }), 'MetadataTooLarge');
  await lab.s3.send(
    new PutObjectTaggingCommand({ Bucket: BUCKET, Key: 'x', Tagging: { TagSet: [{ Key: 'ü/日', Value: 'a b' }] } }),
  );
  const { TagSet } = await lab.s3.send(new GetObjectTaggingCommand({ Bucket: BUCKET, Key: 'x' }));
  assert.deepEqual(TagSet, [{ Key: 'ü/日', Value: 'a b' }]);
});

test('archived objects are read only after a restore has finished', async (t) => {
  const lab = await labForTest(t, { delays: { restore: 3_600_000 } });
  for (const key of ['cold', 'cool']) await put(lab, key, 'content', { StorageClass: 'DEEP_ARCHIVE' });
  await rejectsWith(get(lab, 'cold'), 'InvalidObjectState');
  const restore = (Key: string) =>
    lab.s3.send(
      new RestoreObjectCommand({
        Bucket: BUCKET,
        Key,
        RestoreRequest: { Days: 1, GlacierJobParameters: { Tier: 'Standard' } },
      }),
    );
  await restore('cold');
  await rejectsWith(restore('cold'), 'RestoreAlreadyInProgress');
  await rejectsWith(get(lab, 'cold'), 'InvalidObjectState');
  const state = async (Key: string) =>
    (await lab.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key }))).Restore ?? '';
  assert.match(await state('cold'), /ongoing-request="true"/);
  await lab.control.setDelays({ restore: 50 });
  await restore('cool');
  while (!/ongoing-request="false"/.test(await state('cool'))) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await get(lab, 'cool')).bytes.toString(), 'content');
});

test('missing permissions and unsupported requests are refused', async (t) => {
  const lab = await labForTest(t);
  const reader = await lab.control.addIdentity('reader', {
    Statement: {
      Effect: 'Allow',
      Action: ['s3:GetObject', 's3:ListBucket'],
      Resource: [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/*`],
    },
  });
  const clientOf = (credentials: ReturnType<typeof credentialsOf>) =>
    new S3Client({
      region: 'us-east-1',
      endpoint: lab.lab.endpoints.s3,
      forcePathStyle: true,
      credentials,
      maxAttempts: 1,
    });
  const limited = clientOf(reader);
  await limited.send(new HeadBucketCommand({ Bucket: BUCKET }));
  await rejectsWith(limited.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'x', Body: 'x' })), 'AccessDenied');
  const wrong = { ...credentialsOf(lab.lab.environment()), secretAccessKey: 'wrong' };
  await rejectsWith(
    clientOf(wrong).send(new PutObjectCommand({ Bucket: BUCKET, Key: 'x', Body: 'x' })),
    'SignatureDoesNotMatch',
  );
  const unsigned = await fetch(`${lab.lab.endpoints.s3}/${BUCKET}/x`);
  assert.equal(unsigned.status, 403);
});
