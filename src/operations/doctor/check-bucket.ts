/** The bucket: what is allowed, and rules that would hurt. */
import { claimKey } from '../../archive/claim.ts';
import type { BucketRules, LifecycleNote } from '../../cloud/examiner.ts';
import { now } from '../../lib/clock.ts';
import { attempt, type Examination, type Finding, ok, problem, warning } from './findings.ts';

export async function* examineBucket(examination: Examination): AsyncGenerator<Finding> {
  const { services, settings, signal } = examination;
  let rules: BucketRules | null = null;
  yield await attempt(
    'bucket',
    () => services.examiner.bucketRules({ signal }),
    (found) => {
      rules = found;
      return `${services.store.bucket}${found.region === null ? '' : ` in ${found.region}`}`;
    },
  );
  if (rules === null) return;
  yield* placeAndTime(rules, examination);
  yield* versions(rules);
  yield* lifecycle(rules, settings.prefix);
  yield await attempt(
    'permission PutObject',
    async () => {
      await services.examiner.writeObject(`${settings.prefix}snap-to-s3-doctor`, { signal });
      await services.examiner.writeObject(claimKey(settings.prefix, 'snap-0'), { signal });
    },
    () => 'allowed, for archives and claims (nothing was written)',
  );
  yield await attempt(
    'permission ListMultipartUploads',
    () => services.store.unfinishedUploads(settings.prefix, { signal }),
    (uploads) => `allowed; ${uploads.length} unfinished uploads`,
  );
}

/** Signatures are refused when clocks are fifteen minutes apart. */
const WORRYING_SKEW = 60;
const REFUSED_SKEW = 900;

function* placeAndTime({ region, answeredAt }: BucketRules, { services }: Examination): Generator<Finding> {
  if (region !== null && region !== services.region) {
    const detail = `the bucket is in ${region}, the snapshots are in ${services.region}`;
    yield warning('bucket', `${detail}: every byte is charged as transfer`, 'use a bucket of the same region');
  }
  const skew = Math.round((now().getTime() - answeredAt.getTime()) / 1000);
  const detail = `${Math.abs(skew)} s ${skew < 0 ? 'behind' : 'ahead of'} S3`;
  if (Math.abs(skew) < WORRYING_SKEW) yield ok('clock', detail);
  else if (Math.abs(skew) < REFUSED_SKEW) yield warning('clock', detail, CLOCK_HINT);
  else yield problem('clock', `${detail}: calls will be refused`, CLOCK_HINT);
}

const CLOCK_HINT = 'set the clock: run chronyd with the Amazon Time Sync Service';

function* versions({ versioning, objectLock, lifecycle: notes }: BucketRules): Generator<Finding> {
  if (versioning === null) yield unseen('versioning', 's3:GetBucketVersioning');
  else if (versioning !== 'on') yield ok('versioning', versioning);
  else if (notes?.some(({ deletesVersionsAfter }) => deletesVersionsAfter !== null)) {
    yield ok('versioning', 'on; old versions are dropped by a lifecycle rule');
  } else {
    yield warning(
      'versioning',
      'on, and old versions are kept for ever: every renewal of a claim and every archive that is replaced leaves one',
      'add a lifecycle rule with NoncurrentVersionExpiration',
    );
  }
  if (objectLock === null) yield unseen('object lock', 's3:GetBucketObjectLockConfiguration');
  else if (objectLock === 'none') yield ok('object lock', 'none');
  else {
    const detail = `default retention ${objectLock}: also of claims, and of archives that are replaced`;
    yield warning('object lock', detail, 'expect old versions to cost until their retention has ended');
  }
}

/** A day or two of an upload that is resumed, with room for a weekend. */
const SHORT_ABORT = 3;

function* lifecycle({ lifecycle: notes }: BucketRules, prefix: string): Generator<Finding> {
  if (notes === null) {
    yield unseen('lifecycle', 's3:GetLifecycleConfiguration');
    return;
  }
  const ours = notes.filter((note) => prefix.startsWith(note.prefix) || note.prefix.startsWith(prefix));
  yield* ours.flatMap(harmful);
  if (ours.some(({ abortsUploadsAfter }) => abortsUploadsAfter !== null)) {
    yield ok('lifecycle', `${ours.length} rules cover the archives; unfinished uploads are aborted`);
  } else {
    yield warning(
      'lifecycle',
      'no rule aborts unfinished uploads, which are billed and invisible',
      'add one with AbortIncompleteMultipartUpload after 7 days',
    );
  }
}

function harmful({ id, prefix, expiresAfter, abortsUploadsAfter }: LifecycleNote): Finding[] {
  const where = `rule "${id}" for ${prefix === '' ? 'all keys' : prefix}`;
  const found: Finding[] = [];
  if (expiresAfter !== null) {
    const detail = `${where} DELETES archives after ${expiresAfter} days`;
    found.push(problem('lifecycle', detail, 'narrow the rule to other prefixes, or give archives another --prefix'));
  }
  if (abortsUploadsAfter !== null && abortsUploadsAfter < SHORT_ABORT) {
    const detail = `${where} aborts uploads after ${abortsUploadsAfter} days: what takes longer never ends`;
    found.push(warning('lifecycle', detail, 'give it 7 days'));
  }
  return found;
}

const unseen = (check: string, action: string): Finding =>
  warning(check, 'cannot be seen', `allow ${action} to this role, to have it looked at`);
