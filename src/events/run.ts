/** Events of a run and of its snapshots, whatever the command does with them. */
import type { SnapError } from '../errors.ts';

export type RunEvent =
  /** `priceRegion`: the region whose S3 prices the report uses; `null` if the run stores nothing. */
  | { code: 'run.started'; command: string; snapshots: string[]; priceRegion: string | null }
  | { code: 'snapshot.started'; snapshot: string; volume: string; sizeGiB: number }
  | { code: 'tag.set'; snapshot: string; key: string; value: string }
  /** The snapshot has the maximum number of tags, and the state tag is not one of them. */
  | { code: 'tag.no-room'; snapshot: string; key: string }
  | { code: 'claim.taken-over'; snapshot: string }
  | { code: 'snapshot.skipped'; snapshot: string; reason: string }
  | { code: 'snapshot.finished'; snapshot: string; outcome: SnapshotOutcome; seconds: number; error?: SnapError }
  | { code: 'cleanup.failed'; snapshot: string; what: string; error: SnapError }
  | { code: 'call.retried'; service: string; attempt: number; because: string; waitSeconds: number }
  | { code: 'plan.snapshot'; plan: SnapshotPlan }
  | { code: 'instance.notice'; notice: string }
  | { code: 'run.stopping'; signal: string }
  | {
      code: 'run.finished';
      command: string;
      done: string[];
      failed: string[];
      skipped: string[];
      interrupted: string[];
      thawing: string[];
      seconds: number;
    };

/** `thawing`: S3 is thawing objects; the same command resumes later. */
export type SnapshotOutcome = 'done' | 'failed' | 'interrupted' | 'thawing';

/** An archive that a migration finds in the bucket. */
export interface ExistingArchive {
  /**
   * `keep`: the archive is kept; `validate`: it is kept and validated; `replace`: it is replaced; `refuse`: the snapshot is
   * not migrated; `unknown`: the permission to read the archive is missing.
   */
  action: 'keep' | 'validate' | 'replace' | 'refuse' | 'unknown';
  /** A clause for messages. */
  reason: string;
}

/** The plan of a dry run for one snapshot. */
export interface SnapshotPlan {
  snapshot: string;
  volume: string;
  sizeGiB: number;
  startTime: string;
  /** The common beginning of the keys of the archive, e.g. `vol-1/2017-01-01T00:00:00+00:00 snap-1`. */
  keyStem: string;
  bucket: string;
  storageClass: string;
  /** Maximum number of bytes to read; `null` if AWS does not report it. */
  dataBytes: number | null;
  /** The existing archive of the snapshot; `null` if there is none. */
  existing: ExistingArchive | null;
  /** US dollars at list prices; `null` if unknown. */
  cost: {
    temporaryVolume: number | null;
    directReads: number | null;
    requests: number | null;
    storageMonth: number | null;
    now: number | null;
    /** A note about the prices, e.g. that they are those of another region. */
    note: string | null;
  };
}
