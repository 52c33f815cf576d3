/** Events of an archive that is stored or validated as lines of text. */
import { nameOfPart } from '../../../archive/partition-facts.ts';
import type { DifferenceNote, PackCounts, StoringEvent } from '../../../events.ts';
import { count, formatBytes, formatDuration } from '../../../lib/units.ts';
import type { EventOf, Lines } from './line.ts';

export const STORING_LINES: Lines<StoringEvent> = {
  'point.planned': describePoint,
  'point.withdrawn': (event) => `the new archive was withdrawn, because ${event.reason}; it is stored again`,
  'partition.raw': (event) => `${nameOfPart(event.partition)} is stored as a raw image: ${event.reason}`,
  'partition.recorded': (event) => `${nameOfPart(event.partition)} is recorded, not stored: ${event.reason}`,
  'partition.obstacle': describeObstacle,
  'partition.not-kept': describeNotKept,
  'partition.mounted': describeMounted,
  'object.started': (event) => `storing ${event.key}`,
  'object.stored': describeStored,
  'object.aborted': (event) => `upload aborted; nothing is stored under this key: ${event.key}`,
  'sockets.skipped': (event) => `skipped ${count(event.sockets, 'socket')} (sockets hold no data): ${event.key}`,
  'tags.dropped': (event) =>
    `tags not copied (${event.reason}): ${event.dropped.join(', ')}; the manifest contains them`,
  'snapshot.validated': describeValidation,
  'archive.replaced': (event) => `replacing the existing archive: ${event.reason}`,
  'object.kept': (event) => `already stored (${formatBytes(event.storedBytes)}): ${event.key}`,
  'object.reread': (event) => `reading the object again, because it may have been damaged in transit: ${event.key}`,
  'upload.resumed': (event) =>
    `reusing ${count(event.parts, 'part')} (${formatBytes(event.bytes)}) that an earlier run uploaded: ${event.key}`,
  'upload.restarted': (event) => `restarting the upload, because ${event.reason}: ${event.key}`,
  'index.stored': (event) => `index stored: ${event.key}`,
  'index.left-out': (event) => `stored without an index, because ${event.reason}: ${event.key}`,
  'manifest.stored': (event) => `archive complete: ${event.key}`,
};

function describePoint({ how, reason, parent, blocks, bytes }: EventOf<'point.planned'>): string {
  const amount = `${count(blocks, 'block')} (${formatBytes(bytes)})`;
  if (how === 'base') return `storing ${amount} as a new base, because ${reason}`;
  const because = reason === null ? 'that EBS reports as changed' : `whose SHA-256 differs, because ${reason}`;
  return `storing ${amount} ${because}, on top of ${parent}`;
}

function describeNotKept({ partition, what, count: files, advice }: EventOf<'partition.not-kept'>): string {
  const of = files === null ? '' : ` (${count(files, 'file')})`;
  return `not kept from ${nameOfPart(partition)}: ${what}${of}${advice === null ? '' : `; ${advice}`}`;
}

function describeMounted(event: EventOf<'partition.mounted'>): string {
  const of = event.partition === null ? '' : ` of partition ${event.partition}`;
  const by = event.helper === null ? '' : ` by ${event.helper}`;
  return `${event.filesystem}${of} mounted at ${event.mountPoint}${by}`;
}

function describeObstacle({ partition, reason, isCertain }: EventOf<'partition.obstacle'>): string {
  const what = `restore --to-volume ${isCertain ? 'cannot' : 'may be unable to'} recreate ${nameOfPart(partition)}`;
  return `WARNING: ${what}: ${reason}; restore --to-dir restores its files, and migrate --dd keeps the whole disk as an image`;
}

function describeStored(event: EventOf<'object.stored'>): string {
  const ratio = event.storedBytes === 0 ? 0 : event.plainBytes / event.storedBytes;
  const rate = event.seconds === 0 ? '' : `, ${formatBytes(event.plainBytes / event.seconds)}/s`;
  const sizes = `${formatBytes(event.plainBytes)} as ${formatBytes(event.storedBytes)} (${ratio.toFixed(2)}:1)`;
  return `stored ${sizes} in ${formatDuration(event.seconds)}${rate}: ${event.key}`;
}

/** Maximum number of differences in the text; JSON has more of them. */
const SHOWN = 20;

function describeValidation(event: EventOf<'snapshot.validated'>): string {
  const amount = `${count(event.objects.length, 'object')}, ${count(event.files, 'file')}, ${formatBytes(event.bytes)}`;
  const packs = event.packs === null ? '' : `; ${describePacks(event.packs)}`;
  const except = event.except.length === 0 ? '' : `, except ${event.except.join(', ')}`;
  const head = `${COMPARED[event.compared]}${except} in ${formatDuration(event.seconds)}: ${amount}${packs}; ${
    event.differenceCount === 0 ? 'no differences' : `${count(event.differenceCount, 'difference')}:`
  }`;
  const lines = event.differences.slice(0, SHOWN).map(describeDifference);
  const more = event.differenceCount - lines.length;
  return [head, ...lines, ...(more > 0 ? [`  and ${more} more (--json lists them)`] : [])].join('\n');
}

const describePacks = ({ read, readBefore, unread }: PackCounts): string =>
  [
    `${count(read, 'pack')} read`,
    ...(readBefore > 0 ? [`${readBefore} looked up that earlier validations have read`] : []),
    ...(unread > 0 ? [`${unread} only looked up`] : []),
  ].join(', ');

const COMPARED = {
  everything: 'archive compared with the snapshot',
  content: 'names and contents of files compared with the snapshot',
  'archive-only': 'archive compared with its manifest and index',
} as const;

const describeDifference = ({ object, kind, path, detail }: DifferenceNote): string =>
  `  ${kind}: ${path === '' ? object : `/${path}`}${path === '' && object === '' ? '' : ': '}${detail}`;
