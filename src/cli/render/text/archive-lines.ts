/** Archives as lines, in columns where their parts are of the same length anyway. */
import type { ArchiveOrigin, ListedArchive, SnapEvent } from '../../../events.ts';
import { now } from '../../../lib/clock.ts';
import { formatBytes, formatDollars, formatDuration } from '../../../lib/units.ts';

const STATES: Record<ListedArchive['state'], string> = {
  complete: 'complete',
  incomplete: 'incomplete',
  replaced: 'replaced',
  differed: 'differed',
  unfinished: 'unfinished',
  'without-manifest': 'no manifest',
  'without-data': 'no data',
  'unreadable-manifest': 'damaged',
  unchecked: 'unchecked',
};

/** The longest of them. */
const WIDTH = 11;

export function describeArchive(archive: ListedArchive): string {
  const { snapshot, volume, startTime, state, storedBytes, storedAt, dollarsMonth, snapshotExists } = archive;
  const classes = [...new Set(archive.objects.map(({ storageClass }) => storageClass))].join('+');
  const content = [archive.layout, archive.codec, archive.cipher === 'gpg' ? 'gpg' : null].filter(Boolean).join('.');
  const facts = [
    content,
    formatBytes(storedBytes),
    classes,
    archive.objects.length === 0 ? null : `${formatDuration((now().getTime() - Date.parse(storedAt)) / 1000)} old`,
    dollarsMonth === null ? null : `${formatDollars(dollarsMonth)} a month`,
    snapshotExists === null ? 'snapshot not checked' : snapshotExists ? 'snapshot exists' : 'snapshot gone',
  ].filter(Boolean);
  return `${snapshot}  ${volume}  ${startTime.slice(0, 16)}Z  ${STATES[state].padEnd(WIDTH)}  ${facts.join(', ')}`;
}

export function describeWithoutManifest({
  origin,
  reason,
  partitions,
}: SnapEvent & { code: 'archive.without-manifest' }): string {
  const numbers = partitions.filter((number) => number !== null);
  const what = numbers.length === 0 ? 'the whole disk' : `partitions ${numbers.join(', ')}`;
  return `WARNING: no manifest tells whether the archive is complete; it has objects of ${what}. ${ORIGINS[origin]}: ${reason}`;
}

export const ORIGINS: Record<ArchiveOrigin, string> = {
  'version-0': 'Written by version 0',
  unfinished: 'Unfinished',
  unknown: 'Possibly unfinished',
};

export function describeList(event: SnapEvent & { code: 'list.finished' }): string {
  const { archives, storedBytes, dollarsMonth, priceNote } = event;
  if (archives === 0) return 'list: no archives';
  const noun = archives === 1 ? 'archive' : 'archives';
  const note = priceNote === null ? '' : ` (${priceNote})`;
  return `list: ${archives} ${noun}, ${formatBytes(storedBytes)}, ${formatDollars(dollarsMonth)} a month${note}`;
}
