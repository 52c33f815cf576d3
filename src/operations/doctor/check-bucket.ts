/** Checks of the bucket: its place, the clock, permissions, and its configuration. */
import { claimKey } from '../../archive/claim.ts';
import type { BucketRules } from '../../cloud/examiner.ts';
import { now } from '../../lib/clock.ts';
import { count } from '../../lib/units.ts';
import { examineRules } from './check-rules.ts';
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
  yield* examineRules(rules, settings.prefix);
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
