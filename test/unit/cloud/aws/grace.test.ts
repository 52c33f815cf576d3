/** Writes that the service does not answer end some time after the abort, and their outcome is looked up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { awsNewSnapshots } from '../../../../src/cloud/aws/ebs/new-snapshots.ts';
import { s3PartStore } from '../../../../src/cloud/aws/s3/part-store.ts';
import { s3SmallObjects } from '../../../../src/cloud/aws/s3/small-objects.ts';
import type { EBSClient, EC2Client, S3Client } from '../../../../src/cloud/aws/sdk.ts';
import { Interrupted } from '../../../../src/errors.ts';

const SETTINGS = { bucket: 'backups', storageClass: 'STANDARD', tagAfterUpload: false };
const FACTS = { key: 'key', metadata: {}, tags: {} };
const BODY = Buffer.from('body');
const [CRC, ETAG] = ['AAAAAA==', '"d41d8cd98f00b204e9800998ecf8427e"'];
const RECEIPTS = [{ number: 1, etag: ETAG, checksum: CRC, bytes: 4 }];
/** The MD5 of the MD5 above, in the form of a multipart object. */
const WHOLE = '"59adb24ef3cdbe0297f05b395827453f-1"';

/**
 * A client whose changes never get an answer.
 * @param answers the answers to reads, by the name of the command; others fail.
 */
function silentClient(answers: Record<string, unknown>, onSent: () => void) {
  const send = (command: object, { abortSignal }: { abortSignal?: AbortSignal } = {}) => {
    const answer = answers[command.constructor.name];
    if (answer !== undefined) return Promise.resolve(answer);
    const { promise, reject } = Promise.withResolvers<never>();
    abortSignal?.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    onSent();
    return promise;
  };
  return { send };
}

/** Runs a call that is stopped as soon as it was sent. */
function stopped<T>(answers: Record<string, unknown>, run: (client: unknown, signal: AbortSignal) => Promise<T>) {
  const stop = new AbortController();
  return run(
    silentClient(answers, () => stop.abort(new Interrupted('SIGINT'))),
    stop.signal,
  );
}

const written = (body: Buffer) => ({
  GetObjectCommand: { ETag: ETAG, ContentLength: body.length, Body: { transformToByteArray: async () => body } },
});

const put = (answers: Record<string, unknown>) =>
  stopped(answers, (client, signal) =>
    s3SmallObjects(client as S3Client, SETTINGS, 1).putSmall(FACTS, BODY, null, { signal }),
  );

const complete = (answers: Record<string, unknown>) =>
  stopped(answers, (client, signal) => {
    const clients = { control: client as S3Client, transfer: client as S3Client };
    return s3PartStore(clients, SETTINGS, { facts: FACTS, mustBeNew: false }, 1).complete('upload', RECEIPTS, 4, {
      signal,
    });
  });

test('a small object counts as written only if the store has it', async () => {
  assert.equal((await put(written(BODY))).etag, ETAG);
  await assert.rejects(put(written(Buffer.from('other'))), { code: 'INTERRUPTED' });
});

test('an upload counts as completed only if the store has the object', async () => {
  assert.equal((await complete({ HeadObjectCommand: { ContentLength: 4, ETag: WHOLE } })).etag, WHOLE);
  await assert.rejects(complete({ HeadObjectCommand: { ContentLength: 4, ETag: ETAG } }), { code: 'INTERRUPTED' });
});

test('a removal and the completion of a snapshot end with the reason', async () => {
  const remove = stopped({}, (client, signal) =>
    s3SmallObjects(client as S3Client, SETTINGS, 1).removeIf('key', ETAG, { signal }),
  );
  await assert.rejects(remove, { code: 'INTERRUPTED' });
  const snapshot = stopped({}, (client, signal) =>
    awsNewSnapshots(client as EBSClient, client as EC2Client, 1).complete('snap-1', 1, 'x', { signal }),
  );
  await assert.rejects(snapshot, { code: 'INTERRUPTED' });
});

test('a call that exceeds the time for clean-up is a failure of the call, not a bug', async () => {
  const client = silentClient({}, () => {}) as unknown as S3Client;
  const removal = s3SmallObjects(client, SETTINGS, 1).removeIf('key', ETAG, { signal: AbortSignal.timeout(1) });
  await assert.rejects(removal, { code: 'CLOUD_CALL', message: /no answer in time/ });
});
