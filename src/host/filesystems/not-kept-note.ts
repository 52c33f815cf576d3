/** What an archive does not keep of a disk, as it is reported and recorded. */
import { printable } from '../../lib/printable.ts';

export interface NotKept {
  what: string;
  /** Of how many files or directories; `null` where all of them have it, or it is the filesystem's own. */
  count: number | null;
}

/** `flags of chattr (of 3 files)` */
export const describeNotKept = ({ what, count }: NotKept): string =>
  count === null ? printable(what) : `${printable(what)} (of ${count} ${count === 1 ? 'file' : 'files'})`;
