/** Archives as lines of text. Fields of a fixed length are aligned in columns. */
import type { ArchiveOrigin, ListedArchive, PointSummary, SnapEvent } from '../../../../events.ts';
import { now } from '../../../../lib/clock.ts';
import { count, formatBytes, formatDollars, formatDuration } from '../../../../lib/units.ts';

const STATES: Record<ListedArchive['state'], string> = {
  complete: 'complete',
  incomplete: 'incomplete',
  replaced: 'replaced',
  differed: 'differed',
  expiring: 'expiring',
  expired: 'expired',
  unfinished: 'unfinished',
  'without-manifest': 'no manifest',
  'without-data': 'no data',
  'unreadable-manifest': 'damaged',
  unchecked: 'unchecked',
};

/** Width of the longest state. */
const WIDTH = 11;

export function describeArchive(archive: ListedArchive): string {
  const { snapshot, volume, startTime, state, storedBytes, storedAt, dollarsMonth, snapshotExists, point } = archive;
  const classes = [...new Set(archive.objects.map(({ storageClass }) => storageClass))].join('+');
  const content = [archive.layout, archive.codec, archive.cipher === 'gpg' ? 'gpg' : null].filter(Boolean).join('.');
  const facts = [
    content,
    point && describePoint(point),
    formatBytes(storedBytes),
    classes,
    archive.objects.length === 0 && point === null
      ? null
      : `${formatDuration((now().getTime() - Date.parse(storedAt)) / 1000)} old`,
    dollarsMonth === null ? null : `${formatDollars(dollarsMonth)} per month`,
    snapshotExists === null ? 'snapshot not checked' : snapshotExists ? 'snapshot exists' : 'snapshot deleted',
  ].filter(Boolean);
  return `${snapshot}  ${volume}  ${startTime.slice(0, 16)}Z  ${STATES[state].padEnd(WIDTH)}  ${facts.join(', ')}`;
}

function describePoint({ diskBytes, sharedBytes, sharedWith, validation }: PointSummary): string {
  const shared =
    sharedWith === 0
      ? 'nothing shared'
      : `${formatBytes(sharedBytes)} of it from ${count(sharedWith, 'other snapshot')}`;
  const day = validation?.at.slice(0, 10);
  const validated =
    validation?.packs === 'read'
      ? `validated ${day}`
      : `not validated${validation === null ? '' : ` (compared by hashes ${day}, packs not read)`}`;
  return `incremental: disk of ${formatBytes(diskBytes)}, ${shared}, ${validated}`;
}

export function describeWithoutManifest({
  origin,
  reason,
  partitions,
}: SnapEvent & { code: 'archive.without-manifest' }): string {
  const numbers = partitions.filter((number) => number !== null);
  const what =
    numbers.length === 0
      ? 'the whole disk'
      : `${numbers.length === 1 ? 'partition' : 'partitions'} ${numbers.join(', ')}`;
  return `WARNING: the archive has no manifest, so it may be incomplete; it has objects of ${what}. ${ORIGINS[origin]}: ${reason}`;
}

export const ORIGINS: Record<ArchiveOrigin, string> = {
  'version-0': 'Written by version 0',
  unfinished: 'Unfinished',
  unknown: 'Possibly unfinished',
};

export function describeList(event: SnapEvent & { code: 'list.finished' }): string {
  const { archives, storedBytes, dollarsMonth, priceNote } = event;
  if (archives === 0) return 'list: no archives';
  const note = priceNote === null ? '' : ` (${priceNote})`;
  return `list: ${count(archives, 'archive')}, ${formatBytes(storedBytes)}, ${formatDollars(dollarsMonth)} per month${note}`;
}
