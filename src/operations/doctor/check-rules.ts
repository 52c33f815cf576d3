/** Checks of the configuration of the bucket: versioning, Object Lock and lifecycle rules. */
import type { BucketRules, LifecycleNote } from '../../cloud/examiner.ts';
import { count } from '../../lib/units.ts';
import { type Finding, ok, problem, warning } from './findings.ts';

/** @param prefix that of all archives. Rules for other keys of the bucket are ignored. */
export function* examineRules(rules: BucketRules, prefix: string): Generator<Finding> {
  const ours = rules.lifecycle?.filter((note) => concernsArchives(note, prefix)) ?? null;
  yield versions(rules, ours);
  yield objectLock(rules);
  if (ours === null) yield notPermitted('lifecycle', 's3:GetLifecycleConfiguration');
  else yield* lifecycle(ours);
}

/** The keys of archives begin with the id of a volume. */
function concernsArchives(note: LifecycleNote, prefix: string): boolean {
  const archives = `${prefix}vol-`;
  return archives.startsWith(note.prefix) || note.prefix.startsWith(archives);
}

function versions({ versioning }: BucketRules, ours: readonly LifecycleNote[] | null): Finding {
  const check = 'versioning';
  if (versioning === null) return notPermitted(check, 's3:GetBucketVersioning');
  if (versioning !== 'on') return ok(check, versioning);
  if (ours === null) return ok(check, 'on; whether a lifecycle rule deletes old versions was not checked');
  if (ours.some((note) => note.deletesVersionsAfter !== null && !isLimited(note)))
    return ok(check, 'on; a lifecycle rule deletes old versions');
  return warning(
    check,
    'on, without a lifecycle rule for old versions: AWS bills what was removed or replaced as noncurrent versions, without end',
    'add a lifecycle rule with NoncurrentVersionExpiration for all keys with the prefix of the archives',
  );
}

function objectLock({ objectLock: lock }: BucketRules): Finding {
  const check = 'object lock';
  if (lock === null) return notPermitted(check, 's3:GetBucketObjectLockConfiguration');
  if (!lock.isEnabled) return ok(check, 'not enabled: migrate would refuse --lock-mode');
  if (lock.defaultRetention === null) return ok(check, 'enabled, without a default retention');
  return warning(
    check,
    `enabled, with the default retention ${lock.defaultRetention}, which also applies to claims and to objects without --lock-mode`,
    'AWS bills old versions until their retention ends; use --lock-mode and --lock-days instead of a default retention',
  );
}

function* lifecycle(ours: readonly LifecycleNote[]): Generator<Finding> {
  yield* ours.flatMap((note) => [...deletion(note), ...abortion(note), ...move(note)]);
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

const isLimited = ({ tags, moreThan, lessThan }: LifecycleNote): boolean =>
  Object.keys(tags).length > 0 || moreThan !== null || lessThan !== null;

function describeRule({ id, prefix, tags, moreThan, lessThan }: LifecycleNote): string {
  const conditions = [
    ...Object.entries(tags).map(([key, value]) => `with the tag ${key}=${value}`),
    ...(moreThan === null ? [] : [`of more than ${count(moreThan, 'byte')}`]),
    ...(lessThan === null ? [] : [`of less than ${count(lessThan, 'byte')}`]),
  ];
  const which = conditions.length === 0 ? '' : ` and objects ${conditions.join(', ')}`;
  return `rule "${id}" for ${prefix === '' ? 'all keys' : prefix}${which}`;
}

/** Objects have the tags of their snapshots, so that a rule for a tag deletes the archives of some snapshots. */
function deletion(note: LifecycleNote): Finding[] {
  const { expires, tags } = note;
  if (expires === null) return [];
  const when = expires instanceof Date ? `on ${expires.toISOString().slice(0, 10)}` : `after ${count(expires, 'day')}`;
  const [finding, who] =
    Object.keys(tags).length > 0
      ? [warning, 'the archives of snapshots with this tag, and what other points need of them,']
      : [problem, 'archives'];
  const hint =
    'remove Expiration from the rule, limit it to other prefixes, or use another --prefix for archives; NoncurrentVersionExpiration does no harm';
  return [finding('lifecycle', `${describeRule(note)} DELETES ${who} ${when}`, hint)];
}

/** Minimum number of days before a rule may abort uploads: time to resume an interrupted upload after a weekend. */
const MIN_ABORT_DAYS = 3;

function abortion(note: LifecycleNote): Finding[] {
  const { abortsUploadsAfter: days } = note;
  if (days === null || days >= MIN_ABORT_DAYS) return [];
  const detail = `${describeRule(note)} aborts uploads after ${count(days, 'day')}, so a longer upload can never complete`;
  return [warning('lifecycle', detail, 'increase the time to 7 days')];
}

/** Classes whose objects must be thawed before they can be read. */
const ARCHIVE_CLASSES = ['GLACIER', 'DEEP_ARCHIVE'];

function move(note: LifecycleNote): Finding[] {
  const classes = note.movesTo.filter((name) => ARCHIVE_CLASSES.includes(name));
  if (classes.length === 0) return [];
  const detail = `${describeRule(note)} moves objects to ${classes.join(' and ')}, also manifests, indexes, maps and block lists, without which archives can be neither listed nor continued nor restored before a thaw`;
  const hint =
    'use --storage-class for the data objects instead of the rule; S3 does not move objects of less than 128 KiB unless the bucket is configured so';
  return [warning('lifecycle', detail, hint)];
}

const notPermitted = (check: string, action: string): Finding =>
  warning(check, 'not checked: the permission is missing', `allow ${action} to check it`);
