/** Objects that are written and read whole: manifests and claims, each under a condition. */
import { SnapError } from '../../errors.ts';
import { now } from '../../lib/clock.ts';
import type { ArchiveStore } from '../ports.ts';
import { bucketArguments, creationArguments, type StoreSettings } from './archive-store.ts';
import { answeredAt } from './clients.ts';
import { asking, isAwsError } from './errors.ts';
import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand, type S3Client } from './sdk.ts';

export function s3SmallObjects(
  client: S3Client,
  settings: StoreSettings,
): Pick<ArchiveStore, 'putSmall' | 'getSmall' | 'removeIf'> {
  const bucket = bucketArguments(settings);
  return {
    putSmall: (facts, body, replaces, { signal }) =>
      asking(`write ${facts.key}`, signal, async () => {
        const command = new PutObjectCommand({
          ...creationArguments(settings, facts),
          Body: body,
          ChecksumAlgorithm: 'CRC32',
          ContentType: 'application/json',
          ...(replaces === null ? { IfNoneMatch: '*' } : { IfMatch: unquoted(replaces) }),
        });
        const answer = await client
          .send(command)
          .catch((error) => foundOurs(client, { ...bucket, Key: facts.key }, body, error));
        return {
          key: facts.key,
          etag: answer.ETag ?? '',
          bytes: body.length,
          versionId: answer.VersionId ?? null,
          checksum: null,
        };
      }),

    getSmall: (key, { signal }) =>
      asking(`read ${key}`, signal, async () => {
        const answer = await client.send(new GetObjectCommand({ ...bucket, Key: key }), { abortSignal: signal });
        if ((answer.ContentLength ?? 0) > MOST_SMALL) throw tooLong(key, answer.ContentLength);
        const body = Buffer.from((await answer.Body?.transformToByteArray()) ?? EMPTY);
        const modifiedAt = answer.LastModified ?? now();
        return { etag: answer.ETag ?? '', body, modifiedAt, answeredAt: answeredAt(answer) ?? modifiedAt };
      }),

    removeIf: (key, etag, { signal }) =>
      asking(`remove ${key}`, signal, async () => {
        try {
          await client.send(new DeleteObjectCommand({ ...bucket, Key: key, IfMatch: unquoted(etag) }));
        } catch (error) {
          if (!isAwsError(error, 'PreconditionFailed', 'NoSuchKey', 'ConditionalRequestConflict')) throw error;
        }
      }),
  };
}

/**
 * A refused condition can be the echo of our own write: its answer was lost, and the retry met what it had written.
 * @throws SnapError `ARCHIVE_EXISTS` when it is somebody else's.
 */
async function foundOurs(client: S3Client, object: { Bucket: string; Key: string }, body: Buffer, error: unknown) {
  if (!isAwsError(error, 'PreconditionFailed', 'ConditionalRequestConflict')) throw error;
  const there = await client.send(new GetObjectCommand(object)).catch(() => null);
  if (there?.ContentLength === body.length && body.equals((await there.Body?.transformToByteArray()) ?? EMPTY)) {
    return there;
  }
  throw new SnapError('ARCHIVE_EXISTS', `another run has written ${object.Key} meanwhile`, {
    hint: 'run the command again: it looks at what is there now',
    cause: error,
  });
}

/** Bytes: an index of the largest volume that there is. */
const MOST_SMALL = 2 ** 30;

const tooLong = (key: string, bytes?: number): SnapError =>
  new SnapError('MANIFEST', `${key} has ${bytes} bytes, and was not written by this program`, {
    hint: 'somebody wrote over it; the data objects may still be whole',
  });

const EMPTY = Buffer.alloc(0);

/** S3 takes an ETag with its quotes and without; Ceph compares it as it is stored, without. */
const unquoted = (etag: string): string => etag.replaceAll('"', '');
