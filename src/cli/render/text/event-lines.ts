/** Events as lines for people. `null`: nothing worth a line. */
import { nameOfPart } from '../../../archive/partition-facts.ts';
import type { SnapError } from '../../../errors.ts';
import type { DifferenceNote, ExistingArchive, SnapEvent, SnapshotPlan } from '../../../events.ts';
import { count, formatBytes, formatDollars, formatDuration } from '../../../lib/units.ts';
import { describeArchive, describeList, describeWithoutManifest } from './archive-lines.ts';
import { describeCosts } from './cost-lines.ts';
import { describeChosen, describeDrill, describeDrilled } from './drill-lines.ts';
import { describeFile, describeFound, describeNotListed, describeSearch } from './file-lines.ts';
import { describeRestoreEvent } from './restore-lines.ts';
import { describeShown } from './shown-archive.ts';

export function describeEvent(event: SnapEvent): string | null {
  switch (event.code) {
    case 'run.started':
      return `${event.command}: ${count(event.snapshots.length, 'snapshot')}`;
    case 'plan.snapshot':
      return describePlan(event.plan);
    case 'call.retried':
      return `${event.service} call retried in ${event.waitSeconds.toFixed(1)} s (attempt ${event.attempt}): ${event.because}`;
    case 'instance.notice':
      return `${event.notice}: stopping, and keeping what the same command can resume from on another machine`;
    case 'run.stopping':
      return `${event.signal}: stopping and releasing everything borrowed; press again to quit immediately`;
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
      return `started (${event.sizeGiB} GiB, of ${event.volume})`;
    case 'tag.set':
      return `tagged ${event.key}=${event.value}`;
    case 'tag.no-room':
      return `not tagged ${event.key}: the snapshot has 50 tags, the maximum; only --snapshots and --from select it`;
    case 'source.chosen':
      return describeSource(event);
    case 'blocks.slowed':
      return `${LIMITS[event.limit]}: reading ${Math.round(event.blocksPerSecond)} blocks a second from now on`;
    case 'volume.requested':
      return `creating a ${event.type} volume in ${event.availabilityZone}`;
    case 'volume.created':
      return `volume ${event.volume} created`;
    case 'volume.reused':
      return `using temporary volume ${event.volume}, which was there already`;
    case 'volume.attaching':
      return `attaching ${event.volume} as ${event.device}`;
    case 'volume.attached':
      return `${event.volume} is ${event.device}`;
    case 'volume.detached':
      return `${event.volume} detached`;
    case 'volume.deleted':
      return `${event.volume} deleted`;
    case 'volume.kept':
      return `${event.volume} kept, as asked: it is billed until it is deleted`;
    case 'volume.restored':
      return `restored as ${event.volume} (${event.sizeGiB} GiB in ${event.availabilityZone}), which is detached and yours`;
    case 'snapshot.finished':
      return `${event.outcome} after ${formatDuration(event.seconds)}${event.error ? describeError(event.error) : ''}`;
    default:
      return describeContentEvent(event);
  }
}

function describeSource(event: SnapshotEvent & { code: 'source.chosen' }): string {
  const { volume, direct } = event.dollars;
  const how = event.source === 'direct' ? 'directly' : 'from a volume';
  return `read ${how}: ${event.reason}; about ${dollars(direct)} directly, ${dollars(volume)} from a volume`;
}

const LIMITS = {
  snapshot: 'the limit of one snapshot is met',
  account: 'the limit of the account is met',
} as const;

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
      return `${event.device} holds the snapshot: ${count(event.blocks, 'block')} compared`;
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
      return `not kept of ${nameOfPart(event.partition)}: ${event.what}${event.count === null ? '' : `, of ${count(event.count, 'file')}`}${event.advice === null ? '' : `; ${event.advice}`}`;
    case 'partition.mounted':
      return `${event.filesystem}${event.partition === null ? '' : ` of partition ${event.partition}`} mounted at ${event.mountPoint}${event.helper === null ? '' : ` by ${event.helper}`}`;
    case 'object.started':
      return `storing ${event.key}`;
    case 'object.stored':
      return describeStored(event);
    case 'object.aborted':
      return `upload of ${event.key} aborted; nothing is stored under that key`;
    case 'sockets.skipped':
      return `${count(event.sockets, 'socket')} left out of ${event.key}: sockets hold no data`;
    case 'tags.dropped':
      return `tags not copied (${event.reason}): ${event.dropped.join(', ')}; the manifest has them`;
    case 'snapshot.validated':
      return describeValidation(event);
    case 'claim.taken-over':
      return 'resuming an interrupted run';
    case 'archive.replaced':
      return `the archive that is there will be replaced: ${event.reason}`;
    case 'snapshot.skipped':
      return `skipped: ${event.reason}`;
    case 'object.kept':
      return `stored already (${formatBytes(event.storedBytes)}): ${event.key}`;
    case 'object.reread':
      return `reading it once more, since it may have been damaged on its way: ${event.key}`;
    case 'archive.drilled':
      return describeDrilled(event.row);
    case 'archive.without-manifest':
      return describeWithoutManifest(event);
    case 'archive.unreadable':
      return `the manifest cannot be read${describeError(event.error)}`;
    case 'files.not-listed':
      return describeNotListed(event);
    case 'upload.resumed':
      return `${formatBytes(event.bytes)} in ${count(event.parts, 'part')} had been uploaded before, and are the same: ${event.key}`;
    case 'upload.restarted':
      return `uploading anew, since ${event.reason}: ${event.key}`;
    case 'index.stored':
      return `index stored: ${event.key}`;
    case 'index.left-out':
      return `without an index, since ${event.reason}: ${event.key}`;
    case 'manifest.stored':
      return `archive complete: ${event.key}`;
    case 'clean.found':
      return describeLeftover(event);
    case 'clean.removed':
      return `removed ${event.kind} ${event.id}`;
    case 'cleanup.failed':
      return `LEFT BEHIND: ${event.error.message}; ${event.error.hint ?? ''}`;
    default:
      return describeRestoreEvent(event);
  }
}

function describeUnproved({ device, identifiedBy, reason }: Extract<SnapEvent, { code: 'device.unproved' }>): string {
  const known = identifiedBy === 'serial' ? 'its serial number' : 'ITS NAME AND SIZE ALONE';
  return `${device} is known by ${known}; its blocks could not be compared with the snapshot: ${reason}`;
}

function describeObstacle({
  partition,
  reason,
  isCertain,
}: Extract<SnapEvent, { code: 'partition.obstacle' }>): string {
  const what = `restore --to-volume ${isCertain ? 'cannot' : 'may not'} bring back ${nameOfPart(partition)}`;
  return `WARNING: ${what}: ${reason}; the files are archived (--to-dir restores them), and --dd would keep the disk as it is`;
}

/** Differences shown on the screen; JSON has them all. */
const SHOWN = 20;

function describeValidation(event: Extract<SnapEvent, { code: 'snapshot.validated' }>): string {
  const what = { everything: 'everything', content: 'content only', 'archive-only': 'against its own manifest' };
  const amount = `${count(event.objects.length, 'object')}, ${count(event.files, 'file')}, ${formatBytes(event.bytes)}`;
  const except = event.except.length === 0 ? '' : ` except ${event.except.join(', ')}`;
  const head = `compared (${what[event.compared]}${except}) in ${formatDuration(event.seconds)}: ${amount}; ${
    event.differenceCount === 0 ? 'nothing differs' : `${count(event.differenceCount, 'difference')}:`
  }`;
  const lines = event.differences.slice(0, SHOWN).map(describeDifference);
  const more = event.differenceCount - lines.length;
  return [head, ...lines, ...(more > 0 ? [`  and ${more} more (--json lists them)`] : [])].join('\n');
}

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
    ...(plan.existing === null ? [] : [`  there    ${describeExisting(plan.existing)}`]),
    ...(plan.existing && ['keep', 'validate', 'refuse'].includes(plan.existing.action) ? [] : storingCost(plan, data)),
    ...(plan.cost.note === null ? [] : [`  note     ${plan.cost.note}`]),
  ];
  return lines.join('\n');
}

function storingCost(plan: SnapshotPlan, data: string): string[] {
  return [
    `  to read  ${data}`,
    `  once     ${dollars(plan.cost.temporaryVolume)} temporary volume (or ${dollars(plan.cost.directReads)} direct reads), ${dollars(plan.cost.requests)} requests`,
    `  monthly  ${dollars(plan.cost.storageMonth)} in S3 if nothing compresses, ${dollars(plan.cost.now)} in EBS if nothing is shared`,
  ];
}

const EXISTING_ACTION = {
  keep: 'nothing would be stored',
  validate: 'it would be validated, and nothing stored',
  replace: 'it would be replaced',
  refuse: 'it would not be migrated',
  unknown: 'whether it is archived already was not checked',
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
  const cost = event.dollarsMonth === null ? [] : [`${formatDollars(event.dollarsMonth)} a month`];
  const facts = [event.what, ...age, ...cost].join(', ');
  const obstacle = event.obstacle === null ? '' : `\n  left alone: ${event.obstacle}`;
  return `${event.kind} ${event.id} (${facts})${obstacle}`;
}

function describeClean(event: Extract<SnapEvent, { code: 'clean.finished' }>): string {
  const { found, removed, left, isDryRun } = event;
  if (found === 0) return 'clean: nothing is left behind';
  const cost = `what is there costs ${formatDollars(event.dollarsMonth)} a month`;
  if (isDryRun) return `clean: ${found} found, ${found - left} would be removed with --yes; ${cost}`;
  return `clean: ${found} found, ${removed} removed, ${found - removed} left; ${cost}`;
}

function describeFinding({ check, verdict, detail, hint }: Extract<SnapEvent, { code: 'doctor.finding' }>): string {
  return `${verdict.padEnd(8)} ${check}: ${detail}${hint === null ? '' : `\n  what to do: ${hint}`}`;
}

const describeDoctor = ({ warnings, problems }: Extract<SnapEvent, { code: 'doctor.finished' }>): string =>
  problems === 0 && warnings === 0
    ? 'doctor: all is well'
    : `doctor: ${count(problems, 'problem')}, ${count(warnings, 'warning')}`;
