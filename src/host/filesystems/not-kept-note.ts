/** Something on a disk that an archive does not keep, as it is reported and recorded. */
import { printable } from '../../lib/printable.ts';

export interface NotKept {
  what: string;
  /** Number of files or directories; `null` if all have it, or if it belongs to the filesystem itself. */
  count: number | null;
}

/** `chattr flags (of 3 files)` */
export const describeNotKept = ({ what, count }: NotKept): string =>
  count === null ? printable(what) : `${printable(what)} (of ${count} ${count === 1 ? 'file' : 'files'})`;
