/** Events about archives in a bucket: lists, files and drills. */
import type { SnapError } from '../errors.ts';
import type { ArchiveOrigin, DrillReport, DrillRow, ListedFile, PointSummary, ShownArchive } from './records.ts';

export type BucketEvent =
  | { code: 'archive.listed'; archive: ListedArchive }
  | { code: 'drill.chosen'; seed: string; snapshots: string[]; population: DrillReport['population'] }
  | { code: 'archive.drilled'; snapshot: string; row: DrillRow }
  | { code: 'drill.finished'; report: DrillReport }
  | {
      code: 'archive.without-manifest';
      snapshot: string;
      origin: ArchiveOrigin;
      reason: string;
      /** Partitions of the existing objects; `null` for a whole disk. */
      partitions: (number | null)[];
    }
  | { code: 'archive.unreadable'; snapshot: string; key: string; error: SnapError }
  | { code: 'archive.shown'; snapshot: string; archive: ShownArchive }
  | { code: 'file.listed'; file: ListedFile }
  | { code: 'file.found'; file: ListedFile }
  | {
      code: 'files.not-listed';
      snapshot: string;
      key: string;
      partition: number | null;
      reason: string;
      error?: SnapError;
    }
  | { code: 'find.finished'; archives: number; files: number; unreadable: number }
  | { code: 'list.finished'; archives: number; storedBytes: number; dollarsMonth: number; priceNote: string | null };

/** An archive according to its manifest and to the names, sizes and storage classes of its objects. */
export interface ListedArchive {
  snapshot: string;
  volume: string;
  /** Start time of the snapshot; ISO 8601. */
  startTime: string;
  state:
    | 'complete'
    | 'incomplete'
    | 'replaced'
    | 'differed'
    | 'expiring'
    | 'expired'
    | 'unfinished'
    | 'without-manifest'
    | 'without-data'
    | 'unreadable-manifest'
    | 'unchecked';
  layout: 'tar' | 'image' | null;
  codec: 'lz4' | 'zstd' | null;
  cipher: 'none' | 'gpg' | null;
  objects: { key: string; bytes: number; storageClass: string }[];
  /** Including indexes and the manifest. */
  storedBytes: number;
  /** When its last data object was stored; ISO 8601. */
  storedAt: string;
  /** Whether the snapshot exists in the region and account that the manifest names; `null` if unknown. */
  snapshotExists: boolean | null;
  /** Monthly storage cost of the data objects in US dollars, at list prices of the region; `null` if unknown. */
  dollarsMonth: number | null;
  /** `null` unless the archive is incremental. */
  point: PointSummary | null;
}
