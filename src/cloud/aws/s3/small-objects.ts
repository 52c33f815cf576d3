/** Reads and writes small objects as a whole: manifests and claims. Every write has a condition. */

import type { Readable } from 'node:stream';
import { SnapError } from '../../../errors.ts';
import { now, sleep } from '../../../lib/clock.ts';
import type { ArchiveStore } from '../../ports.ts';
import { answeredAt } from '../clients.ts';
import { isAwsError } from '../errors.ts';
import { GRACE, inquirySignal, withGrace } from '../grace.ts';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  PutObjectCommand,
  type S3Client,
} from '../sdk.ts';
import { bucketCalls } from './bucket-calls.ts';
import { bucketArguments, creationArguments, type StoreSettings } from './store-settings.ts';

export function s3SmallObjects(
  client: S3Client,
  settings: StoreSettings,
  grace = GRACE,
): Pick<ArchiveStore, 'putSmall' | 'getSmall' | 'removeIf'> {
  const bucket = bucketArguments(settings);
  const { at, translateErrors } = bucketCalls(client, bucket);
  return {
    putSmall: (facts, body, replaces, { signal }) =>
      translateErrors(`write ${at(facts.key)}`, signal, async () => {
        const command = new PutObjectCommand({
          ...creationArguments(settings, facts),
          Body: body,
          ChecksumAlgorithm: 'CRC32',
          ContentType: 'application/json',
          ...(replaces === null ? { IfNoneMatch: '*' } : { IfMatch: unquoted(replaces) }),
        });
        const answer = await withGrace(signal, grace, (abortSignal) =>
          client
            .send(command, { abortSignal })
            .catch((error) => acceptOwnWrite(client, { ...bucket, Key: facts.key }, body, error, abortSignal)),
        );
        return {
          key: facts.key,
          etag: answer.ETag ?? '',
          bytes: body.length,
          versionId: answer.VersionId ?? null,
          checksum: null,
          answeredAt: answeredAt(answer) ?? now(),
        };
      }),

    getSmall: (key, { signal }) =>
      translateErrors(`read ${at(key)}`, signal, async () => {
        const { answer, body } = await readWhole(client, { ...bucket, Key: key }, signal);
        const modifiedAt = answer.LastModified ?? now();
        return { etag: answer.ETag ?? '', body, modifiedAt, answeredAt: answeredAt(answer) ?? modifiedAt };
      }),

    removeIf: (key, etag, { signal }) =>
      translateErrors(`remove ${at(key)}`, signal, async () => {
        try {
          const command = new DeleteObjectCommand({ ...bucket, Key: key, IfMatch: unquoted(etag) });
          await withGrace(signal, grace, (abortSignal) => client.send(command, { abortSignal }));
        } catch (error) {
          if (!isAwsError(error, 'PreconditionFailed', 'NoSuchKey', 'ConditionalRequestConflict')) throw error;
        }
      }),
  };
}

/**
 * The condition also fails if our own write succeeded, its response was lost, and the retry found the object. The write may
 * also have succeeded if the call was canceled.
 * @throws SnapError `ARCHIVE_EXISTS` if another run wrote the object.
 */
async function acceptOwnWrite(
  client: S3Client,
  object: { Bucket: string; Key: string },
  body: Buffer,
  error: unknown,
  late: AbortSignal,
) {
  const isRefused = isAwsError(error, 'PreconditionFailed', 'ConditionalRequestConflict');
  if (!isRefused && !late.aborted) throw error;
  const existing = await readWhole(client, object, inquirySignal(late)).catch(() => null);
  if (existing && body.equals(existing.body)) return existing.answer;
  if (!isRefused) throw error;
  throw new SnapError('ARCHIVE_EXISTS', `another run wrote ${object.Key} at the same time`, {
    hint: 'run the command again: it starts from the current state of the bucket',
    cause: error,
  });
}

/** Maximum reads of an object whose body breaks off, stalls, or does not match its checksum. */
const OBJECT_READ_ATTEMPTS = 6;

/** Milliseconds before the next read. It doubles each time. */
const OBJECT_RETRY_PAUSE = 100;

/** The SDK retries calls, but not the reading of bodies. It does compare bodies with the checksums of S3. */
async function readWhole(
  client: S3Client,
  object: { Bucket: string; Key: string },
  signal: AbortSignal,
): Promise<{ answer: GetObjectCommandOutput; body: Buffer }> {
  for (let reads = 1; ; reads++) {
    const answer = await client.send(new GetObjectCommand(object), { abortSignal: signal });
    if ((answer.ContentLength ?? 0) > MAX_SMALL_OBJECT_BYTES) {
      // In Node, the body is a `Readable`; the SDK declares another type.
      (answer.Body as unknown as Readable | undefined)?.destroy();
      throw tooLong(object.Key, answer.ContentLength);
    }
    try {
      return { answer, body: Buffer.from((await answer.Body?.transformToByteArray()) ?? EMPTY_BODY) };
    } catch (error) {
      signal.throwIfAborted();
      if (reads === OBJECT_READ_ATTEMPTS) throw error;
    }
    await sleep(OBJECT_RETRY_PAUSE * 2 ** (reads - 1), signal);
  }
}

/** Enough for the index of the largest possible volume. */
const MAX_SMALL_OBJECT_BYTES = 2 ** 30;

const tooLong = (key: string, bytes?: number): SnapError =>
  new SnapError('MANIFEST', `${key} was not written by this program: it has ${bytes} bytes`, {
    hint: 'something else has overwritten it; the data objects may still be intact',
  });

const EMPTY_BODY = Buffer.alloc(0);

/** S3 accepts ETags with or without quotes. Ceph compares them with the stored form, which has none. */
const unquoted = (etag: string): string => etag.replaceAll('"', '');
