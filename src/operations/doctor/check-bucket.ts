/** Checks of the bucket: permissions, clock, versioning, object lock and lifecycle rules. */
import { claimKey } from '../../archive/claim.ts';
import type { BucketRules, LifecycleNote } from '../../cloud/examiner.ts';
import { now } from '../../lib/clock.ts';
import { count } from '../../lib/units.ts';
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
    () => 'allowed for archives and claims (nothing was written)',
  );
  yield await attempt(
    'permission ListMultipartUploads',
    () => services.store.unfinishedUploads(settings.prefix, { signal }),
    (uploads) => `allowed; ${count(uploads.length, 'unfinished upload')}`,
  );
}

/** Seconds of clock skew that cause a warning. */
const WARNING_SKEW = 60;
/** Seconds of clock skew from which AWS refuses signatures. */
const REFUSED_SKEW = 900;

function* placeAndTime({ region, answeredAt }: BucketRules, { services }: Examination): Generator<Finding> {
  if (region !== null && region !== services.region) {
    const detail = `the bucket is in ${region}, but the snapshots are in ${services.region}`;
    yield warning(
      'bucket',
      `${detail}: AWS charges for the data transfer`,
      'use a bucket in the region of the snapshots',
    );
  }
  const skew = Math.round((now().getTime() - answeredAt.getTime()) / 1000);
  const detail = `${Math.abs(skew)} s ${skew < 0 ? 'behind' : 'ahead of'} S3`;
  if (Math.abs(skew) < WARNING_SKEW) yield ok('clock', detail);
  else if (Math.abs(skew) < REFUSED_SKEW) yield warning('clock', detail, CLOCK_HINT);
  else yield problem('clock', `${detail}: AWS will refuse calls`, CLOCK_HINT);
}

const CLOCK_HINT = 'synchronize the clock, for example with chronyd and the Amazon Time Sync Service';

function* versions({ versioning, objectLock, lifecycle: notes }: BucketRules): Generator<Finding> {
  if (versioning === null) yield notPermitted('versioning', 's3:GetBucketVersioning');
  else if (versioning !== 'on') yield ok('versioning', versioning);
  else if (notes?.some(({ deletesVersionsAfter }) => deletesVersionsAfter !== null)) {
    yield ok('versioning', 'on; a lifecycle rule deletes old versions');
  } else {
    yield warning(
      'versioning',
      'on, without a lifecycle rule for old versions: each renewal of a claim and each replaced archive adds a version that is kept forever',
      'add a lifecycle rule with NoncurrentVersionExpiration',
    );
  }
  if (objectLock === null) yield notPermitted('object lock', 's3:GetBucketObjectLockConfiguration');
  else if (objectLock === 'none') yield ok('object lock', 'none');
  else {
    const detail = `default retention ${objectLock}, which also applies to claims and to replaced archives`;
    yield warning('object lock', detail, 'AWS bills old versions until their retention ends');
  }
}

/** Minimum number of days before a rule may abort uploads: time to resume an interrupted upload after a weekend. */
const MIN_ABORT_DAYS = 3;

function* lifecycle({ lifecycle: notes }: BucketRules, prefix: string): Generator<Finding> {
  if (notes === null) {
    yield notPermitted('lifecycle', 's3:GetLifecycleConfiguration');
    return;
  }
  const ours = notes.filter((note) => prefix.startsWith(note.prefix) || note.prefix.startsWith(prefix));
  yield* ours.flatMap(harmful);
  if (ours.some(({ abortsUploadsAfter }) => abortsUploadsAfter !== null)) {
    yield ok('lifecycle', `${count(ours.length, 'rule')} for the archives; unfinished uploads are aborted`);
  } else {
    yield warning(
      'lifecycle',
      'no rule aborts unfinished uploads, which AWS bills although object listings do not show them',
      'add a rule with AbortIncompleteMultipartUpload after 7 days',
    );
  }
}

function harmful({ id, prefix, expiresAfter, abortsUploadsAfter }: LifecycleNote): Finding[] {
  const where = `rule "${id}" for ${prefix === '' ? 'all keys' : prefix}`;
  const found: Finding[] = [];
  if (expiresAfter !== null) {
    const detail = `${where} DELETES archives after ${expiresAfter} days`;
    found.push(problem('lifecycle', detail, 'limit the rule to other prefixes, or use another --prefix for archives'));
  }
  if (abortsUploadsAfter !== null && abortsUploadsAfter < MIN_ABORT_DAYS) {
    const detail = `${where} aborts uploads after ${count(abortsUploadsAfter, 'day')}, so a longer upload can never complete`;
    found.push(warning('lifecycle', detail, 'increase the time to 7 days'));
  }
  return found;
}

const notPermitted = (check: string, action: string): Finding =>
  warning(check, 'not checked: the permission is missing', `allow ${action} to check it`);
