/** Files of archives as lines, in columns as `ls -l` has them. */
import { nameOfPart } from '../../../archive/partition-facts.ts';
import type { ListedFile, SnapEvent } from '../../../events.ts';

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

/** Partitions have roots of their own. */
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

/** To the second, in UTC; an archive may tell times that no calendar has. */
function dateOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `@${Math.trunc(seconds)}`.padEnd(20) : `${date.toISOString().slice(0, 19)}Z`;
}

export function describeSearch({ archives, files, unreadable }: SnapEvent & { code: 'find.finished' }): string {
  const bad = unreadable === 0 ? '' : `; ${unreadable} could not be searched, and are named above`;
  return `list: ${files} ${files === 1 ? 'file' : 'files'} in ${archives} ${archives === 1 ? 'archive' : 'archives'}${bad}`;
}

export function describeNotListed({ partition, reason, error }: SnapEvent & { code: 'files.not-listed' }): string {
  const what = nameOfPart(partition);
  const detail = error ? `: ${error.message}${error.hint === undefined ? '' : `\n  what to do: ${error.hint}`}` : '';
  return `${what} cannot be searched: ${reason}${detail}`;
}
