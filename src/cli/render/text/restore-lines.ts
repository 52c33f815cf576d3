/** Events of a restore as lines of text. */
import { describeOptions, nameOfPart } from '../../../archive/partition-facts.ts';
import type { PlannedObject, PlannedRoom, RestoreEvent, RestorePlan } from '../../../events.ts';
import { count, formatBytes, formatDuration } from '../../../lib/units.ts';
import type { EventOf, Lines } from './line.ts';
import { THAW_LINES } from './thaw-lines.ts';

export const RESTORE_LINES: Lines<RestoreEvent> = {
  ...THAW_LINES,
  'volume.restored': (event) =>
    `restored to volume ${event.volume} (${event.sizeGiB} GiB in ${event.availabilityZone}); it is detached and ready to use`,
  'object.restored': describeRestored,
  'boot-loader.missing': (event) => `WARNING: the restored volume will not boot without further work: ${event.reason}`,
  'filesystem.simplified': describeSimplified,
  'restore.continued': (event) => describeContinued(event),
  'restore.planned': (event) => describePlan(event.plan),
  'restore.completing': (event) =>
    `all blocks of the new snapshot ${event.id} are written, but EBS has not completed it; the snapshot is kept, and the same command completes it`,
  'restore.unfinished': (event) => `${event.path} is incomplete and kept; the same command resumes`,
  'files.left-out': (event) =>
    `without --privileged: ${count(event.devices, 'device node')} not restored, ${count(event.privileges, 'file')} restored without set-ID bits and file capabilities`,
  'files.incomplete': describeIncomplete,
  'partition.not-restored': (event) => `${nameOfPart(event.partition)} not restored: ${event.reason}`,
};

function describeSimplified(event: EventOf<'filesystem.simplified'>): string {
  const { partition, volume, filesystem, omitted, added, reason } = event;
  const made = `${volume === null ? 'would be' : 'is'} created ${describeOptions(omitted, added)}`;
  return `${nameOfPart(partition)}: ${filesystem} ${made}, because its tool refuses the original parameters: ${reason}`;
}

const describeContinued = ({ files, bytes, key }: EventOf<'restore.continued'>): string =>
  `${files === null ? '' : `${count(files, 'file')}, `}${formatBytes(bytes)} restored by an earlier run, verified, not fetched again: ${key}`;

const describePlan = ({ objects, rooms }: RestorePlan): string =>
  ['would restore:', ...objects.map(describePlanned), ...rooms.map(describeRoom)].join('\n');

const RETRIEVALS = {
  'not-needed': '',
  needed: ', must be thawed first',
  ongoing: ', being thawed',
  restored: ', thawed',
};

function describePlanned({ key, to, storageClass, retrieval, ...object }: PlannedObject): string {
  const stored = `reads ${formatBytes(object.fetchBytes)} of ${formatBytes(object.storedBytes)}`;
  const plain = object.plainBytes === null ? '' : `, ${formatBytes(object.plainBytes)} decompressed`;
  return `  ${key}\n    to ${to}: ${stored}${plain}, in ${storageClass}${RETRIEVALS[retrieval]}`;
}

function describeRoom({ where, neededBytes, roomBytes, holds }: PlannedRoom): string {
  const needed =
    neededBytes === null ? 'needs an unknown amount of space' : `needs at most ${formatBytes(neededBytes)}`;
  const destroyed = holds === null ? '' : `; it holds ${holds}, which would be destroyed`;
  return `  ${where} ${needed}; ${formatBytes(roomBytes)} available${destroyed}`;
}

function describeIncomplete({ target, messages, ...event }: EventOf<'files.incomplete'>): string {
  const rest = event.count > messages.length ? [`and ${event.count - messages.length} more`] : [];
  const changed = `the times of ${count(event.times, 'file')} were changed to times that the filesystem can store`;
  const lines = [...messages, ...rest, ...(event.times > 0 ? [changed] : [])];
  return `the filesystem of ${target} could not store all attributes of the files:\n  ${lines.join('\n  ')}`;
}

function describeRestored(event: EventOf<'object.restored'>): string {
  const { target, bytes, files, fetchedBytes, seconds } = event;
  const what = files === null ? formatBytes(bytes) : `${count(files, 'file')}, ${formatBytes(bytes)}`;
  return `restored to ${target}: ${what} in ${formatDuration(seconds)}, ${formatBytes(fetchedBytes)} read from the bucket, ${VERIFIED[event.verified ?? 'all']}`;
}

const VERIFIED = {
  all: 'every byte verified',
  blocks: 'the hash of every block that was read is right; the files themselves have no hashes',
};
