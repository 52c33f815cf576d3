/** Dry runs and the configuration of the bucket, for `doctor`. */
import { now } from '../../lib/clock.ts';
import type { Examiner, LifecycleNote } from '../examiner.ts';
import { answeredAt } from './clients.ts';
import { createInput } from './ec2/volumes.ts';
import { isAwsError, translateErrors } from './errors.ts';
import { headBucket } from './s3/archive-store.ts';
import { bucketCalls } from './s3/bucket-calls.ts';
import { bucketArguments, creationArguments, type StoreSettings } from './s3/store-settings.ts';
import {
  CreateTagsCommand,
  CreateVolumeCommand,
  type EC2Client,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type LifecycleRule,
  PutObjectCommand,
  type S3Client,
} from './sdk.ts';

export function awsExaminer(ec2: EC2Client, s3: S3Client, settings: StoreSettings): Examiner {
  const bucket = bucketArguments(settings);
  const calls = bucketCalls(s3, bucket);
  return {
    createVolume: (wanted, { signal: abortSignal }) =>
      translateErrors('create volumes', abortSignal, () =>
        ignoreErrors('DryRunOperation', () =>
          ec2.send(new CreateVolumeCommand({ ...createInput(wanted), DryRun: true }), { abortSignal }),
        ),
      ),

    tagSnapshot: (id, Key, { signal: abortSignal }) =>
      translateErrors(`tag ${id}`, abortSignal, () => {
        const command = new CreateTagsCommand({ Resources: [id], Tags: [{ Key, Value: 'migrating' }], DryRun: true });
        return ignoreErrors('DryRunOperation', () => ec2.send(command, { abortSignal }));
      }),

    writeObject: (key, { signal: abortSignal }) =>
      calls.translateErrors(`write ${calls.at(key)}`, abortSignal, () => {
        const facts = creationArguments(settings, { key, metadata: {}, tags: {} });
        const command = new PutObjectCommand({ ...facts, Body: EMPTY, ContentLength: 0, IfMatch: NO_ETAG });
        return ignoreErrors(['NoSuchKey', 'NotFound', 'PreconditionFailed'], () => s3.send(command, { abortSignal }));
      }),

    bucketRules: ({ signal: abortSignal }) =>
      calls.translateHeadErrors(`inspect bucket ${settings.bucket}`, abortSignal, async () => {
        const options = { abortSignal };
        const head = await headBucket(s3, bucket, abortSignal);
        const versioning = await unlessHidden(() => s3.send(new GetBucketVersioningCommand(bucket), options));
        const lock = await unlessHidden(() => s3.send(new GetObjectLockConfigurationCommand(bucket), options));
        const lifecycle = await unlessHidden(() =>
          s3.send(new GetBucketLifecycleConfigurationCommand(bucket), options),
        );
        const retention = lock?.ObjectLockConfiguration?.Rule?.DefaultRetention;
        return {
          region: head.BucketRegion ?? null,
          versioning: versioning && versioningOf(versioning.Status),
          objectLock: lock && (retention ? `${retention.Mode} ${retention.Days ?? retention.Years}` : 'none'),
          lifecycle: lifecycle && (lifecycle.Rules ?? []).filter(({ Status }) => Status === 'Enabled').map(toNote),
          answeredAt: answeredAt(head) ?? now(),
        };
      }),
  };
}

const EMPTY = Buffer.alloc(0);

/** No object has this ETag: it is not an MD5 that occurs in practice. */
const NO_ETAG = '00000000000000000000000000000000';

async function ignoreErrors(expected: string | string[], call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!isAwsError(error, ...[expected].flat())) throw error;
  }
}

/** Returns an empty object if the bucket lacks the configuration, and `null` if the caller may not read it. */
async function unlessHidden<T extends object>(call: () => Promise<T>): Promise<Partial<T> | null> {
  try {
    return await call();
  } catch (error) {
    if (isAwsError(error, 'NoSuchLifecycleConfiguration', 'ObjectLockConfigurationNotFoundError')) return {};
    if (isAwsError(error, 'AccessDenied', 'NotImplemented', 'MethodNotAllowed')) return null;
    throw error;
  }
}

const versioningOf = (status: string | undefined) =>
  status === 'Enabled' ? ('on' as const) : status === 'Suspended' ? ('suspended' as const) : ('off' as const);

const toNote = (rule: LifecycleRule): LifecycleNote => ({
  id: rule.ID ?? 'unnamed',
  prefix: rule.Filter?.Prefix ?? rule.Filter?.And?.Prefix ?? rule.Prefix ?? '',
  expiresAfter: rule.Expiration?.Days ?? (rule.Expiration?.Date ? 0 : null),
  abortsUploadsAfter: rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation ?? null,
  deletesVersionsAfter: rule.NoncurrentVersionExpiration?.NoncurrentDays ?? null,
});
