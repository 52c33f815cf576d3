/** Whether objects of a bucket can be locked, and whether the caller may do so. */
import { asError, SnapError } from '../../../errors.ts';
import type { LockChecks } from '../../object-lock.ts';
import { isAwsError } from '../errors.ts';
import { GetObjectLockConfigurationCommand, GetObjectRetentionCommand, type S3Client } from '../sdk.ts';
import { bucketCalls } from './bucket-calls.ts';
import { bucketArguments, type StoreSettings } from './store-settings.ts';
import { tryWrite } from './try-write.ts';

export function s3LockChecks(client: S3Client, settings: StoreSettings): LockChecks {
  const bucket = bucketArguments(settings);
  const { at, translateErrors } = bucketCalls(client, bucket);
  const readConfiguration = async (abortSignal: AbortSignal) => {
    try {
      const { ObjectLockConfiguration } = await client.send(new GetObjectLockConfigurationCommand(bucket), {
        abortSignal,
      });
      return ObjectLockConfiguration?.ObjectLockEnabled;
    } catch (error) {
      if (isAwsError(error, ...WITHOUT_LOCK)) return undefined;
      throw error;
    }
  };
  return {
    assertLockable: ({ signal }) => {
      const doing = `read the Object Lock configuration of ${settings.bucket}`;
      return translateErrors(doing, signal, async () => {
        const enabled = await needing('s3:GetBucketObjectLockConfiguration', doing, () => readConfiguration(signal));
        if (enabled !== 'Enabled') throw notLockable(settings.bucket);
      });
    },

    tryLock: async (key, lock, { signal }) => {
      const [reading, writing] = [`read the lock of ${at(key)}`, `write a locked object ${at(key)}`];
      const read = () =>
        client.send(new GetObjectRetentionCommand({ ...bucket, Key: key }), { abortSignal: signal }).catch((error) => {
          if (!isAwsError(error, 'NoSuchKey', 'NotFound')) throw error;
        });
      const write = () => tryWrite(client, settings, { key, metadata: {}, tags: {}, lock }, signal);
      await translateErrors(reading, signal, () => needing('s3:GetObjectRetention', reading, read));
      await translateErrors(writing, signal, () => needing('s3:PutObjectRetention', writing, write));
    },
  };
}

/** Responses of buckets, and of stores, without Object Lock. */
const WITHOUT_LOCK = ['ObjectLockConfigurationNotFoundError', 'NotImplemented', 'MethodNotAllowed'];

const notLockable = (bucket: string): SnapError =>
  new SnapError('BUCKET', `bucket ${bucket} has no Object Lock, so nothing in it can be locked`, {
    hint: 'enable Object Lock in the properties of the bucket, which needs versioning, or leave out --lock-mode and --lock-days',
  });

/** Names the permission that only locks need. */
async function needing<T>(action: string, doing: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isAwsError(error, 'AccessDenied', 'Forbidden')) throw error;
    throw new SnapError('ACCESS_DENIED', `could not ${doing}: ${asError(error).message}`, {
      hint: `allow ${action}, which --lock-mode needs; docs/permissions.md has the policy`,
      cause: error,
    });
  }
}
