/** Dry runs and the configuration of the bucket, for `doctor`. */
import { now } from '../../lib/clock.ts';
import { count } from '../../lib/units.ts';
import type { Examiner, LifecycleNote, ObjectLockNote } from '../examiner.ts';
import { answeredAt } from './clients.ts';
import { fromTagList } from './ec2/tag-list.ts';
import { createInput } from './ec2/volumes.ts';
import { isAwsError, translateErrors } from './errors.ts';
import { headBucket } from './s3/archive-store.ts';
import { bucketCalls } from './s3/bucket-calls.ts';
import { bucketArguments, type StoreSettings } from './s3/store-settings.ts';
import { tryWrite } from './s3/try-write.ts';
import {
  CreateTagsCommand,
  CreateVolumeCommand,
  DeleteObjectCommand,
  type EC2Client,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  type LifecycleRule,
  type NoncurrentVersionExpiration,
  type ObjectLockConfiguration,
  type S3Client,
} from './sdk.ts';

export function awsExaminer(ec2: EC2Client, s3: S3Client, settings: StoreSettings): Examiner {
  const bucket = bucketArguments(settings);
  const calls = bucketCalls(s3, bucket);
  return {
    createVolume: (wanted, { signal: abortSignal }) =>
      translateErrors('create volumes', abortSignal, () =>
        ignoreError('DryRunOperation', () =>
          ec2.send(new CreateVolumeCommand({ ...createInput(wanted), DryRun: true }), { abortSignal }),
        ),
      ),

    tagSnapshot: (id, Key, { signal: abortSignal }) =>
      translateErrors(`tag ${id}`, abortSignal, () => {
        const command = new CreateTagsCommand({ Resources: [id], Tags: [{ Key, Value: 'migrating' }], DryRun: true });
        return ignoreError('DryRunOperation', () => ec2.send(command, { abortSignal }));
      }),

    writeObject: (key, { signal: abortSignal }) =>
      calls.translateErrors(`write ${calls.at(key)}`, abortSignal, () =>
        tryWrite(s3, settings, { key, metadata: {}, tags: {} }, abortSignal),
      ),

    removeObject: (key, { signal: abortSignal }) =>
      calls.translateErrors(`remove ${calls.at(key)}`, abortSignal, async () => {
        await s3.send(new DeleteObjectCommand({ ...bucket, Key: key }), { abortSignal });
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
        return {
          region: head.BucketRegion ?? null,
          versioning: versioning && versioningOf(versioning.Status),
          objectLock: lock && lockNoteOf(lock.ObjectLockConfiguration),
          lifecycle: lifecycle && (lifecycle.Rules ?? []).filter(({ Status }) => Status === 'Enabled').map(toNote),
          answeredAt: answeredAt(head) ?? now(),
        };
      }),
  };
}

async function ignoreError(expected: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!isAwsError(error, expected)) throw error;
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

function lockNoteOf(configuration: ObjectLockConfiguration | undefined): ObjectLockNote {
  const { Mode, Days, Years } = configuration?.Rule?.DefaultRetention ?? {};
  const time = Years === undefined ? count(Days ?? 0, 'day') : count(Years, 'year');
  return {
    isEnabled: configuration?.ObjectLockEnabled === 'Enabled',
    defaultRetention: Mode === undefined ? null : `${Mode} for ${time}`,
  };
}

/** Earlier rules have their prefix outside of the filter. */
function toNote({ ID: id = 'unnamed', Filter, Prefix, ...rule }: LifecycleRule): LifecycleNote {
  const { And, Tag: tag, ...single } = Filter ?? {};
  const limits = { ...single, ...And };
  return {
    id,
    prefix: limits.Prefix ?? Prefix ?? '',
    tags: fromTagList(And?.Tags ?? (tag ? [tag] : [])),
    moreThan: limits.ObjectSizeGreaterThan ?? null,
    lessThan: limits.ObjectSizeLessThan ?? null,
    expires: rule.Expiration?.Days ?? rule.Expiration?.Date ?? null,
    abortsUploadsAfter: rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation ?? null,
    deletesVersionsAfter: deletionOf(rule.NoncurrentVersionExpiration),
    movesTo: (rule.Transitions ?? []).flatMap(({ StorageClass }) => StorageClass ?? []),
  };
}

/** A rule that keeps a number of versions never deletes the newest of them. */
const deletionOf = ({
  NoncurrentDays,
  NewerNoncurrentVersions = 0,
}: NoncurrentVersionExpiration = {}): number | null => (NewerNoncurrentVersions > 0 ? null : (NoncurrentDays ?? null));
