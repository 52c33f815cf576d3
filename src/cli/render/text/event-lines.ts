/** Events as lines of text for the terminal and for logs. */
import { nameOfPart } from '../../../archive/partition-facts.ts';
import type { SnapError } from '../../../errors.ts';
import type { DifferenceNote, ExistingArchive, SnapEvent, SnapshotOutcome, SnapshotPlan } from '../../../events.ts';
import { count, formatBytes, formatDollars, formatDuration } from '../../../lib/units.ts';
import { describeArchive, describeList, describeWithoutManifest } from './archive-lines.ts';
import { describeCosts } from './cost-lines.ts';
import { describeChosen, describeDrill, describeDrilled } from './drill-lines.ts';
import { describeFile, describeFound, describeNotListed, describeSearch } from './file-lines.ts';
import { describeRestoreEvent } from './restore-lines.ts';
import { describeShown } from './shown-archive.ts';

/** @returns one or more lines without a newline at the end; `null` for an event that is not shown. */
export function describeEvent(event: SnapEvent): string | null {
  switch (event.code) {
    case 'run.started':
      return `${event.command}: ${count(event.snapshots.length, 'snapshot')}`;
    case 'plan.snapshot':
      return describePlan(event.plan);
    case 'call.retried':
      return `${event.service}: retrying the call in ${event.waitSeconds.toFixed(1)} s (attempt ${event.attempt}): ${event.because}`;
    case 'instance.notice':
      return `${event.notice}: stopping; the completed work is kept, and the same command resumes it on another instance`;
    case 'run.stopping':
      return `${event.signal}: stopping, and releasing volumes, mounts and claims; a second signal quits immediately and lists what is left behind`;
    case 'run.finished':
      return describeEnd(event);
    case 'clean.finished':
      return describeClean(event);
    case 'archive.listed':
      return describeArchive(event.archive);
    case 'list.finished':
      return describeList(event);
    case 'drill.chosen':
      return describeChosen(event);
    case 'drill.finished':
      return describeDrill(event.report);
    case 'archive.shown':
      return describeShown(event.snapshot, event.archive);
    case 'file.listed':
      return describeFile(event.file);
    case 'file.found':
      return describeFound(event.file);
    case 'find.finished':
      return describeSearch(event);
    case 'report.read':
    case 'ratio.measured':
    case 'region.described':
    case 'live.planned':
      return describeCosts(event);
    case 'doctor.finding':
      return describeFinding(event);
    case 'doctor.finished':
      return describeDoctor(event);
    default: {
      const text = describeSnapshotEvent(event);
      return text === null ? null : `${event.snapshot}: ${text}`;
    }
  }
}

type SnapshotEvent = Exclude<
  SnapEvent,
  {
    code:
      | `run.${string}`
      | 'plan.snapshot'
      | 'call.retried'
      | 'clean.finished'
      | 'instance.notice'
      | 'archive.listed'
      | 'archive.shown'
      | 'drill.chosen'
      | 'drill.finished'
      | 'file.listed'
      | 'file.found'
      | 'find.finished'
      | 'list.finished'
      | 'report.read'
      | 'ratio.measured'
      | 'region.described'
      | 'live.planned'
      | `doctor.${string}`;
  }
>;

function describeSnapshotEvent(event: SnapshotEvent): string | null {
  switch (event.code) {
    case 'snapshot.started':
      return `started (${event.sizeGiB} GiB snapshot of ${event.volume})`;
    case 'tag.set':
      return `tagged ${event.key}=${event.value}`;
    case 'tag.no-room':
      return `not tagged ${event.key}: the snapshot has 50 tags, the maximum; only --snapshots and --from select it`;
    case 'source.chosen':
      return describeSource(event);
    case 'blocks.slowed':
      return `EBS throttles reads of ${THROTTLED[event.limit]}: continuing with ${Math.round(event.blocksPerSecond)} blocks per second`;
    case 'volume.requested':
      return `creating a ${event.type} volume in ${event.availabilityZone}`;
    case 'volume.created':
      return `volume ${event.volume} created`;
    case 'volume.reused':
      return `reusing temporary volume ${event.volume} of an earlier run`;
    case 'volume.attaching':
      return `attaching ${event.volume} as ${event.device}`;
    case 'volume.attached':
      return `${event.volume} attached as ${event.device}`;
    case 'volume.detached':
      return `${event.volume} detached`;
    case 'volume.deleted':
      return `${event.volume} deleted`;
    case 'volume.kept':
      return `${event.volume} kept (--keep-temp-volumes); AWS bills it until you delete it`;
    case 'volume.restored':
      return `restored to volume ${event.volume} (${event.sizeGiB} GiB in ${event.availabilityZone}); it is detached and ready to use`;
    case 'snapshot.finished':
      return `${OUTCOMES[event.outcome]} after ${formatDuration(event.seconds)}${event.error ? describeError(event.error) : ''}`;
    default:
      return describeContentEvent(event);
  }
}

function describeSource(event: SnapshotEvent & { code: 'source.chosen' }): string {
  const { volume, direct } = event.dollars;
  const how = event.source === 'direct' ? 'through the EBS direct APIs' : 'from a temporary volume';
  return `reading ${how} (${event.reason}); estimated cost: ${dollars(direct)} with direct reads, ${dollars(volume)} with a volume`;
}

const OUTCOMES: Record<SnapshotOutcome, string> = {
  done: 'done',
  failed: 'failed',
  interrupted: 'interrupted',
  thawing: 'waiting for S3 to thaw objects',
};

const THROTTLED = { snapshot: 'this snapshot', account: 'the account' } as const;

const describeError = ({ message, hint }: SnapError): string =>
  `: ${message}${hint === undefined ? '' : `\n  what to do: ${hint}`}`;

type ContentEvent = Exclude<
  SnapshotEvent,
  {
    code:
      | `volume.${string}`
      | `tag.${string}`
      | 'blocks.slowed'
      | 'source.chosen'
      | 'snapshot.started'
      | 'snapshot.finished';
  }
>;

function describeContentEvent(event: ContentEvent): string | null {
  switch (event.code) {
    case 'device.proved':
      return `${event.device} verified: ${count(event.blocks, 'block')} compared with the snapshot`;
    case 'device.unproved':
      return describeUnproved(event);
    case 'disk.read':
      return `${event.device}: ${formatBytes(event.bytes)}, ${describeTable(event.table, event.partitions.length)}`;
    case 'partition.raw':
      return `${nameOfPart(event.partition)} is stored as a raw image: ${event.reason}`;
    case 'partition.recorded':
      return `${nameOfPart(event.partition)} is recorded, not stored: ${event.reason}`;
    case 'partition.obstacle':
      return describeObstacle(event);
    case 'partition.not-kept':
      return describeNotKept(event);
    case 'partition.mounted':
      return describeMounted(event);
    case 'object.started':
      return `storing ${event.key}`;
    case 'object.stored':
      return describeStored(event);
    case 'object.aborted':
      return `upload aborted; nothing is stored under this key: ${event.key}`;
    case 'sockets.skipped':
      return `skipped ${count(event.sockets, 'socket')} (sockets hold no data): ${event.key}`;
    case 'tags.dropped':
      return `tags not copied (${event.reason}): ${event.dropped.join(', ')}; the manifest contains them`;
    case 'snapshot.validated':
      return describeValidation(event);
    case 'claim.taken-over':
      return 'resuming an interrupted run';
    case 'archive.replaced':
      return `replacing the existing archive: ${event.reason}`;
    case 'snapshot.skipped':
      return `skipped: ${event.reason}`;
    case 'object.kept':
      return `already stored (${formatBytes(event.storedBytes)}): ${event.key}`;
    case 'object.reread':
      return `reading the object again, because it may have been damaged in transit: ${event.key}`;
    case 'archive.drilled':
      return describeDrilled(event.row);
    case 'archive.without-manifest':
      return describeWithoutManifest(event);
    case 'archive.unreadable':
      return `the manifest cannot be read${describeError(event.error)}`;
    case 'files.not-listed':
      return describeNotListed(event);
    case 'upload.resumed':
      return `reusing ${count(event.parts, 'part')} (${formatBytes(event.bytes)}) that an earlier run uploaded: ${event.key}`;
    case 'upload.restarted':
      return `restarting the upload, because ${event.reason}: ${event.key}`;
    case 'index.stored':
      return `index stored: ${event.key}`;
    case 'index.left-out':
      return `stored without an index, because ${event.reason}: ${event.key}`;
    case 'manifest.stored':
      return `archive complete: ${event.key}`;
    case 'clean.found':
      return describeLeftover(event);
    case 'clean.removed':
      return `removed ${event.kind} ${event.id}`;
    case 'cleanup.failed':
      return describeCleanupFailure(event);
    default:
      return describeRestoreEvent(event);
  }
}

/** Names what is left behind, unless the message of the error does. */
function describeCleanupFailure({ what, error }: SnapEvent & { code: 'cleanup.failed' }): string {
  const name = error.message.includes(what) ? '' : `: ${what}`;
  return `LEFT BEHIND${name}${describeError(error)}`;
}

function describeNotKept({
  partition,
  what,
  count: files,
  advice,
}: SnapEvent & { code: 'partition.not-kept' }): string {
  const of = files === null ? '' : ` (${count(files, 'file')})`;
  return `not kept from ${nameOfPart(partition)}: ${what}${of}${advice === null ? '' : `; ${advice}`}`;
}

function describeMounted(event: SnapEvent & { code: 'partition.mounted' }): string {
  const of = event.partition === null ? '' : ` of partition ${event.partition}`;
  const by = event.helper === null ? '' : ` by ${event.helper}`;
  return `${event.filesystem}${of} mounted at ${event.mountPoint}${by}`;
}

function describeUnproved({ device, identifiedBy, reason }: Extract<SnapEvent, { code: 'device.unproved' }>): string {
  const known = identifiedBy === 'serial' ? 'its serial number' : 'ITS NAME AND SIZE';
  return `WARNING: ${device} is identified only by ${known}; its blocks could not be compared with the snapshot: ${reason}`;
}

function describeObstacle({
  partition,
  reason,
  isCertain,
}: Extract<SnapEvent, { code: 'partition.obstacle' }>): string {
  const what = `restore --to-volume ${isCertain ? 'cannot' : 'may be unable to'} recreate ${nameOfPart(partition)}`;
  return `WARNING: ${what}: ${reason}; restore --to-dir restores its files, and migrate --dd keeps the whole disk as an image`;
}

/** Maximum number of differences in the text; JSON has more of them. */
const SHOWN = 20;

function describeValidation(event: Extract<SnapEvent, { code: 'snapshot.validated' }>): string {
  const amount = `${count(event.objects.length, 'object')}, ${count(event.files, 'file')}, ${formatBytes(event.bytes)}`;
  const except = event.except.length === 0 ? '' : `, except ${event.except.join(', ')}`;
  const head = `${COMPARED[event.compared]}${except} in ${formatDuration(event.seconds)}: ${amount}; ${
    event.differenceCount === 0 ? 'no differences' : `${count(event.differenceCount, 'difference')}:`
  }`;
  const lines = event.differences.slice(0, SHOWN).map(describeDifference);
  const more = event.differenceCount - lines.length;
  return [head, ...lines, ...(more > 0 ? [`  and ${more} more (--json lists them)`] : [])].join('\n');
}

const COMPARED = {
  everything: 'archive compared with the snapshot',
  content: 'names and contents of files compared with the snapshot',
  'archive-only': 'archive compared with its manifest and index',
} as const;

const describeDifference = ({ object, kind, path, detail }: DifferenceNote): string =>
  `  ${kind}: ${path === '' ? object : `/${path}`}${path === '' && object === '' ? '' : ': '}${detail}`;

const describeTable = (table: string, partitions: number): string =>
  table === 'none' ? 'no partition table' : `${table} with ${count(partitions, 'partition')}`;

function describeStored(event: Extract<SnapEvent, { code: 'object.stored' }>): string {
  const ratio = event.storedBytes === 0 ? 0 : event.plainBytes / event.storedBytes;
  const rate = event.seconds === 0 ? '' : `, ${formatBytes(event.plainBytes / event.seconds)}/s`;
  const sizes = `${formatBytes(event.plainBytes)} as ${formatBytes(event.storedBytes)} (${ratio.toFixed(2)}:1)`;
  return `stored ${sizes} in ${formatDuration(event.seconds)}${rate}: ${event.key}`;
}

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

const dollars = (amount: number | null): string => (amount === null ? 'unknown' : formatDollars(amount));

function describeEnd(event: Extract<SnapEvent, { code: 'run.finished' }>): string {
  const failed = event.failed.length === 0 ? '' : `, ${event.failed.length} failed (${event.failed.join(', ')})`;
  const skipped = event.skipped.length === 0 ? '' : `, ${event.skipped.length} skipped`;
  const stopped = event.interrupted.length === 0 ? '' : `, ${event.interrupted.length} interrupted`;
  const thawing = event.thawing.length === 0 ? '' : `, ${event.thawing.length} waiting for objects to be thawed`;
  return `${event.command}: ${event.done.length} done${failed}${thawing}${skipped}${stopped} in ${formatDuration(event.seconds)}`;
}

function describeLeftover(event: Extract<SnapEvent, { code: 'clean.found' }>): string {
  const age = event.ageSeconds === null ? [] : [`${formatDuration(event.ageSeconds)} old`];
  const cost = event.dollarsMonth === null ? [] : [`${formatDollars(event.dollarsMonth)} per month`];
  const facts = [event.what, ...age, ...cost].join(', ');
  const obstacle = event.obstacle === null ? '' : `\n  not removed: ${event.obstacle}`;
  return `${event.kind} ${event.id} (${facts})${obstacle}`;
}

function describeClean(event: Extract<SnapEvent, { code: 'clean.finished' }>): string {
  const { found, removed, left, isDryRun } = event;
  if (found === 0) return 'clean: no leftovers found';
  const head = `clean: ${count(found, 'leftover')} found`;
  const cost = formatDollars(event.dollarsMonth);
  if (isDryRun) return `${head}, ${cost} per month; --yes would remove ${found - left}`;
  return `${head}, ${removed} removed; the remaining ${found - removed} cost ${cost} per month`;
}

function describeFinding({ check, verdict, detail, hint }: Extract<SnapEvent, { code: 'doctor.finding' }>): string {
  return `${verdict.padEnd(8)} ${check}: ${detail}${hint === null ? '' : `\n  what to do: ${hint}`}`;
}

const describeDoctor = ({ warnings, problems }: Extract<SnapEvent, { code: 'doctor.finished' }>): string =>
  problems === 0 && warnings === 0
    ? 'doctor: no problems found'
    : `doctor: ${count(problems, 'problem')}, ${count(warnings, 'warning')}`;
