/** The settings of `list`. */
import type { ArchiveFilter, WantedTag } from './archive-filter.ts';

export interface ListSettings extends ArchiveFilter {
  /** Tags that the snapshot had, according to the manifest or, if there is none, to the tags of the objects. */
  tags: readonly WantedTag[];
}

/** A search for files in the indexes of archives. */
export interface FindSettings extends ListSettings {
  files: FilesQuery;
  /** Byte ranges in flight. */
  downloadStreams: number;
}

export interface FilesQuery {
  /** `below`: the whole trees of `paths`; `within`: only the direct entries of the directories. */
  how: 'below' | 'within';
  /** Relative to the root of the filesystem, as bytes in Latin-1, without `.` and `..`; empty for the root. */
  paths: readonly string[];
  /** Files must match one of these patterns; empty for all files. */
  globs: readonly string[];
  /** `null` for all partitions with files. */
  partition: number | null;
}

/** A request to show one archive without reading its data objects. */
export interface ShowSettings {
  prefix: string;
  snapshotId: string;
  /** The files to list; `null` shows the manifest instead. */
  files: FilesQuery | null;
  downloadStreams: number;
  /** Time limit in milliseconds for gpg to open a sealed manifest, including the entry of a passphrase. */
  passphraseWithin: number;
}
