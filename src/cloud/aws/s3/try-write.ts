/**
 * Tries a write under a condition that no object meets. It changes nothing, and shows whether writing is allowed. Some
 * stores ignore the condition: the empty object is then removed again.
 */
import { cleanupSignal } from '../../../lib/disposal.ts';
import type { ObjectFacts } from '../../ports.ts';
import { isAwsError } from '../errors.ts';
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '../sdk.ts';
import { creationArguments, type StoreSettings } from './store-settings.ts';

const EMPTY = Buffer.alloc(0);

/** No object has this ETag: it is not an MD5 that occurs in practice. */
const NO_ETAG = '00000000000000000000000000000000';

/** @param facts with a key that no object has. @throws the error of S3, except that about the condition. */
export async function tryWrite(
  client: S3Client,
  settings: StoreSettings,
  facts: ObjectFacts,
  abortSignal: AbortSignal,
): Promise<void> {
  const command = new PutObjectCommand({
    ...creationArguments(settings, facts),
    Body: EMPTY,
    ContentLength: 0,
    ChecksumAlgorithm: 'CRC32',
    IfMatch: NO_ETAG,
  });
  try {
    await client.send(command, { abortSignal });
  } catch (error) {
    if (!isAwsError(error, 'NoSuchKey', 'NotFound', 'PreconditionFailed')) throw error;
    return;
  }
  const { Bucket, Key, ExpectedBucketOwner } = command.input;
  await client.send(new DeleteObjectCommand({ Bucket, Key, ExpectedBucketOwner }), { abortSignal: cleanupSignal() });
}
