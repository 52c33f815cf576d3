/** Events of a run as lines of text. */
import type { ExistingArchive, RunEvent, SnapshotOutcome, SnapshotPlan } from '../../../events.ts';
import { count, formatBytes, formatDuration } from '../../../lib/units.ts';
import { describeError, dollars, type EventOf, type Lines } from './line.ts';

export const RUN_LINES: Lines<RunEvent> = {
  'run.started': (event) => `${event.command}: ${count(event.snapshots.length, 'snapshot')}`,
  'snapshot.started': (event) => `started (${event.sizeGiB} GiB snapshot of ${event.volume})`,
  'tag.set': (event) => `tagged ${event.key}=${event.value}`,
  'tag.no-room': (event) =>
    `not tagged ${event.key}: the snapshot has 50 tags, the maximum; only --snapshots and --from select it`,
  'claim.taken-over': () => 'resuming an interrupted run',
  'snapshot.skipped': (event) => `skipped: ${event.reason}`,
  'snapshot.finished': (event) =>
    `${OUTCOMES[event.outcome]} after ${formatDuration(event.seconds)}${event.error ? describeError(event.error) : ''}`,
  'cleanup.failed': describeCleanupFailure,
  'call.retried': (event) =>
    `${event.service}: retrying the call in ${event.waitSeconds.toFixed(1)} s (attempt ${event.attempt}): ${event.because}`,
  'plan.snapshot': (event) => describePlan(event.plan),
  'instance.notice': (event) =>
    `${event.notice}: stopping; the completed work is kept, and the same command resumes it on another instance`,
  'run.stopping': (event) =>
    `${event.signal}: stopping, and releasing volumes, mounts and claims; a second signal quits immediately and lists what is left behind`,
  'run.finished': describeEnd,
};

const OUTCOMES: Record<SnapshotOutcome, string> = {
  done: 'done',
  failed: 'failed',
  interrupted: 'interrupted',
  thawing: 'waiting for S3 to thaw objects',
};

function describePlan(plan: SnapshotPlan): string {
  const data = plan.dataBytes === null ? `at most ${plan.sizeGiB} GiB` : formatBytes(plan.dataBytes);
  const lines = [
    `${plan.snapshot} (${plan.sizeGiB} GiB of ${plan.volume}, ${plan.startTime})`,
    `  to       s3://${plan.bucket}/${plan.keyStem}...`,
    `  class    ${plan.storageClass}`,
    ...(plan.existing === null ? [] : [`  exists   ${describeExisting(plan.existing)}`]),
    ...(plan.existing && ['keep', 'validate', 'refuse'].includes(plan.existing.action) ? [] : storingCost(plan, data)),
    ...(plan.cost.note === null ? [] : [`  note     ${plan.cost.note}`]),
  ];
  return lines.join('\n');
}

function storingCost(plan: SnapshotPlan, data: string): string[] {
  return [
    `  reads    ${data}`,
    `  once     ${dollars(plan.cost.temporaryVolume)} for the temporary volume (or ${dollars(plan.cost.directReads)} for direct reads), ${dollars(plan.cost.requests)} for requests`,
    `  monthly  ${dollars(plan.cost.storageMonth)} in S3 if the data does not compress, ${dollars(plan.cost.now)} in EBS if no other snapshot shares its blocks`,
  ];
}

const EXISTING_ACTION = {
  keep: 'the archive would be kept',
  validate: 'the archive would be kept and validated',
  replace: 'the archive would be replaced',
  refuse: 'the snapshot would not be migrated',
  unknown: 'it is unknown whether the snapshot is already archived',
};

const describeExisting = ({ action, reason }: ExistingArchive): string => `${EXISTING_ACTION[action]}: ${reason}`;

function describeEnd(event: EventOf<'run.finished'>): string {
  const failed = event.failed.length === 0 ? '' : `, ${event.failed.length} failed (${event.failed.join(', ')})`;
  const skipped = event.skipped.length === 0 ? '' : `, ${event.skipped.length} skipped`;
  const stopped = event.interrupted.length === 0 ? '' : `, ${event.interrupted.length} interrupted`;
  const thawing = event.thawing.length === 0 ? '' : `, ${event.thawing.length} waiting for objects to be thawed`;
  return `${event.command}: ${event.done.length} done${failed}${thawing}${skipped}${stopped} in ${formatDuration(event.seconds)}`;
}

/** Names what is left behind, unless the message of the error does. */
function describeCleanupFailure({ what, error }: EventOf<'cleanup.failed'>): string {
  const name = error.message.includes(what) ? '' : `: ${what}`;
  return `LEFT BEHIND${name}${describeError(error)}`;
}
