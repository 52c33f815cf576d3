/** Reads and writes small objects as a whole: manifests and claims. Every write has a condition. */

import { SnapError } from '../../../errors.ts';
import { now } from '../../../lib/clock.ts';
import type { ArchiveStore } from '../../ports.ts';
import { answeredAt } from '../clients.ts';
import { isAwsError } from '../errors.ts';
import { GRACE, inquirySignal, withGrace } from '../grace.ts';
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '../sdk.ts';
import { bucketCalls } from './bucket-calls.ts';
import { readWhole } from './read-whole.ts';
import { smallReader } from './small-reader.ts';
import { bucketArguments, creationArguments, type StoreSettings } from './store-settings.ts';

export function s3SmallObjects(
  client: S3Client,
  settings: StoreSettings,
  grace = GRACE,
): Pick<ArchiveStore, 'putSmall' | 'getSmall' | 'removeIf'> {
  const bucket = bucketArguments(settings);
  const { at, translateErrors } = bucketCalls(client, bucket);
  const read = smallReader(client, bucket);
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

    getSmall: (key, { signal }) => translateErrors(`read ${at(key)}`, signal, () => read(key, signal)),

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

/** S3 accepts ETags with or without quotes. Ceph compares them with the stored form, which has none. */
const unquoted = (etag: string): string => etag.replaceAll('"', '');
