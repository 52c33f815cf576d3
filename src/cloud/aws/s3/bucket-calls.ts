/** Runs S3 calls so that their errors name the bucket and give a reason. */
import { SnapError } from '../../../errors.ts';
import { isAwsError, isCredentialError, translateErrors } from '../errors.ts';
import { ListObjectsV2Command, type S3Client } from '../sdk.ts';

interface BucketArguments {
  Bucket: string;
  ExpectedBucketOwner?: string;
}

export interface BucketCalls {
  /** The address that messages use: `s3://bucket/key`. */
  at(key: string): string;
  /** Runs a call and translates its errors. */
  translateErrors<T>(doing: string, signal: AbortSignal, call: () => Promise<T>): Promise<T>;
  /** Does the same for HEAD, whose responses have no error document. After a refusal it finds out the reason. */
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

/** @param doing what was attempted, if that was more than inspecting the bucket. */
export const missingBucket = (name: string, cause: unknown, doing?: string): SnapError =>
  new SnapError('BUCKET', `${doing === undefined ? '' : `could not ${doing}: `}there is no bucket ${name}`, {
    hint: 'check --bucket, or create the bucket first: snap-to-s3 does not create buckets',
    cause,
  });

const isRefusal = (error: unknown): boolean =>
  error instanceof Error &&
  [400, 403].includes((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 0);

/** In a response to HEAD, wrong credentials look like a missing permission. A listing gives the reason. */
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
