/** Calls of S3, whose errors name the bucket, and say why where the answer itself does not. */
import { SnapError } from '../../../errors.ts';
import { isAwsError, isCredentialError, translateErrors } from '../errors.ts';
import { ListObjectsV2Command, type S3Client } from '../sdk.ts';

interface BucketArguments {
  Bucket: string;
  ExpectedBucketOwner?: string;
}

export interface BucketCalls {
  /** `s3://bucket/key`: how messages name objects, and with a prefix what is below it. */
  at(key: string): string;
  /** Runs a call and turns what it throws. */
  translateErrors<T>(doing: string, signal: AbortSignal, call: () => Promise<T>): Promise<T>;
  /** The same for HEAD, whose answers have no document: why one was refused has to be found out. */
  translateHeadErrors<T>(doing: string, signal: AbortSignal, call: () => Promise<T>): Promise<T>;
}

export function bucketCalls(client: S3Client, bucket: BucketArguments): BucketCalls {
  const withBucketName = <T>(doing: string, signal: AbortSignal, call: () => Promise<T>): Promise<T> =>
    translateErrors(doing, signal, () =>
      call().catch((error: unknown) => {
        throw isAwsError(error, 'NoSuchBucket') ? missingBucket(bucket.Bucket, error, doing) : error;
      }),
    );
  return {
    at: (key) => `s3://${bucket.Bucket}/${key}`,
    translateErrors: withBucketName,
    translateHeadErrors: (doing, signal, call) =>
      withBucketName(doing, signal, () =>
        call().catch(async (error: unknown) => {
          throw isRefusal(error) ? await findReason(error, client, bucket, signal) : error;
        }),
      ),
  };
}

/** @param doing what was tried, where that was more than to look at the bucket. */
export const missingBucket = (name: string, cause: unknown, doing?: string): SnapError =>
  new SnapError('BUCKET', `${doing === undefined ? '' : `could not ${doing}: `}there is no bucket ${name}`, {
    hint: 'check --bucket, or create the bucket first: snap-to-s3 does not create buckets',
    cause,
  });

const isRefusal = (error: unknown): boolean =>
  error instanceof Error &&
  [400, 403].includes((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 0);

/** A wrong key and a missing permission look alike in an answer to HEAD. Listings come with a reason. */
async function findReason(
  error: unknown,
  client: S3Client,
  bucket: BucketArguments,
  abortSignal: AbortSignal,
): Promise<unknown> {
  try {
    await client.send(new ListObjectsV2Command({ ...bucket, MaxKeys: 1 }), { abortSignal });
  } catch (reason) {
    if (isCredentialError(reason)) return reason;
  }
  return error;
}
