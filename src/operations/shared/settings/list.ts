/** What `list` is told. */
import type { ArchiveFilter, WantedTag } from './archive-filter.ts';

export interface ListSettings extends ArchiveFilter {
  /** That the snapshot had, as the manifest tells, or else the objects; `value`: `null` for any. */
  tags: readonly WantedTag[];
}

/** Files that are looked for in the indexes of archives. */
export interface FindSettings extends ListSettings {
  files: FilesQuery;
  /** Ranges on their way from S3 at once. */
  downloadStreams: number;
}

export interface FilesQuery {
  /** `below`: all that is in them; `within`: what a directory itself holds. Empty: from the root on. */
  how: 'below' | 'within';
  /** Names from the root on, bytes as Latin-1, without `.` and `..`. */
  paths: readonly string[];
  /** One of which must fit; none: every file does. */
  globs: readonly string[];
  /** `null`: all that have files. */
  partition: number | null;
}

/** One archive, looked at without its data. */
export interface ShowSettings {
  prefix: string;
  snapshotId: string;
  /** `null`: what the manifest tells is enough. */
  files: FilesQuery | null;
  downloadStreams: number;
  /** Milliseconds that gpg has to open a sealed manifest: somebody may have to type a passphrase. */
  passphraseWithin: number;
}
