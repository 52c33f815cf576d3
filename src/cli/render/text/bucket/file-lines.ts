/** Files of archives as lines in the format of `ls -l`. */

import { nameOfPart } from '../../../../archive/partition-facts.ts';
import type { ListedFile, SnapEvent } from '../../../../events.ts';
import { count } from '../../../../lib/units.ts';

const LETTERS: Record<ListedFile['type'], string> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  hardlink: 'h',
  character: 'c',
  block: 'b',
  fifo: 'p',
};

export function describeFile(file: ListedFile): string {
  const { type, uid, gid, size, target, device } = file;
  const owner = `${uid}:${gid}`.padEnd(11);
  const amount = (device ? `${device.major}, ${device.minor}` : String(size)).padStart(12);
  const arrow = target === null ? '' : type === 'hardlink' ? ` = /${target}` : ` -> ${target}`;
  return `${LETTERS[type]}${permissions(file.mode)} ${owner} ${amount} ${dateOf(file.mtime)} ${nameOf(file)}${arrow}`;
}

export const describeFound = (file: ListedFile): string => `${file.snapshot} ${describeFile(file)}`;

/** The path with the partition in front, because each partition has its own root. */
const nameOf = ({ partition, path }: ListedFile): string => `${partition === null ? '' : `${partition}:`}/${path}`;

function permissions(mode: number): string {
  const bits = [6, 3, 0].map((shift) => {
    const three = mode >> shift;
    return `${three & 4 ? 'r' : '-'}${three & 2 ? 'w' : '-'}${three & 1 ? 'x' : '-'}`;
  });
  const special = [
    [0o4000, 's'],
    [0o2000, 's'],
    [0o1000, 't'],
  ] as const;
  return special
    .map(([bit, letter], index) => {
      const three = bits[index] ?? '---';
      if (!(mode & bit)) return three;
      return three.slice(0, 2) + (three.endsWith('x') ? letter : letter.toUpperCase());
    })
    .join('');
}

/** UTC, to the second. Times outside the range of `Date` are shown as seconds since the epoch. */
function dateOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `@${Math.trunc(seconds)}`.padEnd(20) : `${date.toISOString().slice(0, 19)}Z`;
}

export function describeSearch({ archives, files, unreadable }: SnapEvent & { code: 'find.finished' }): string {
  const bad = unreadable === 0 ? '' : `; ${unreadable} could not be searched (see above)`;
  return `list: ${count(files, 'file')} in ${count(archives, 'archive')}${bad}`;
}

export function describeNotListed({ partition, reason, error }: SnapEvent & { code: 'files.not-listed' }): string {
  const what = nameOfPart(partition);
  const detail = error ? `: ${error.message}${error.hint === undefined ? '' : `\n  what to do: ${error.hint}`}` : '';
  return `${what} cannot be searched: ${reason}${detail}`;
}
