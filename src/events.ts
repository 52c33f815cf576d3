/**
 * The events of operations. Operations never print: they notify a `Host`, which converts events to text, JSON lines or
 * progress bars. Codes are stable and documented in docs/events.md.
 */
import type { SnapError } from './errors.ts';
import type {
  ArchiveOrigin,
  DifferenceNote,
  DrillReport,
  DrillRow,
  ListedFile,
  RestorePlan,
  ShownArchive,
  ThawOffer,
} from './event-records.ts';

export type * from './event-records.ts';

/** The cost of reading a snapshot in US dollars, by source; `null` if unknown. */
export interface ReadingCost {
  volume: number | null;
  direct: number | null;
}

/** `thawing`: S3 is thawing objects; the same command resumes later. */
export type SnapshotOutcome = 'done' | 'failed' | 'interrupted' | 'thawing';

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
}

/** The events. `snapshot` is always a snapshot id; sizes are in bytes and durations in seconds. */
export type SnapEvent =
  | { code: 'run.started'; command: string; snapshots: string[] }
  | { code: 'snapshot.started'; snapshot: string; volume: string; sizeGiB: number }
  | { code: 'tag.set'; snapshot: string; key: string; value: string }
  /** The snapshot has the maximum number of tags, and the state tag is not one of them. */
  | { code: 'tag.no-room'; snapshot: string; key: string }
  | { code: 'source.chosen'; snapshot: string; source: 'volume' | 'direct'; reason: string; dollars: ReadingCost }
  | { code: 'blocks.slowed'; snapshot: string; limit: 'snapshot' | 'account'; blocksPerSecond: number }
  | { code: 'volume.requested'; snapshot: string; type: string; availabilityZone: string }
  | { code: 'volume.created'; snapshot: string; volume: string }
  | { code: 'volume.reused'; snapshot: string; volume: string }
  | { code: 'volume.attaching'; snapshot: string; volume: string; device: string }
  | { code: 'volume.attached'; snapshot: string; volume: string; device: string }
  /** The device was verified: `blocks` of its blocks match the snapshot. */
  | { code: 'device.proved'; snapshot: string; device: string; identifiedBy: 'serial' | 'name'; blocks: number }
  | { code: 'device.unproved'; snapshot: string; device: string; identifiedBy: 'serial' | 'name'; reason: string }
  | { code: 'volume.detached'; snapshot: string; volume: string }
  | { code: 'volume.deleted'; snapshot: string; volume: string }
  | { code: 'volume.kept'; snapshot: string; volume: string }
  | { code: 'disk.read'; snapshot: string; device: string; bytes: number; table: string; partitions: PartitionNote[] }
  | { code: 'partition.raw'; snapshot: string; partition: number | null; reason: string }
  | { code: 'partition.recorded'; snapshot: string; partition: number | null; reason: string }
  | { code: 'partition.obstacle'; snapshot: string; partition: number | null; reason: string; isCertain: boolean }
  | {
      code: 'partition.not-kept';
      snapshot: string;
      partition: number | null;
      what: string;
      /** Number of files; `null` for all files, or for the filesystem itself. */
      count: number | null;
      advice: string | null;
    }
  | {
      code: 'partition.mounted';
      snapshot: string;
      partition: number | null;
      filesystem: string;
      mountPoint: string;
      helper: string | null;
    }
  | { code: 'object.started'; snapshot: string; key: string; expectedBytes: number }
  | { code: 'object.stored'; snapshot: string; key: string; plainBytes: number; storedBytes: number; seconds: number }
  | { code: 'object.aborted'; snapshot: string; key: string }
  | { code: 'sockets.skipped'; snapshot: string; key: string; sockets: number }
  | { code: 'tags.dropped'; snapshot: string; dropped: string[]; reason: string }
  | {
      code: 'snapshot.validated';
      snapshot: string;
      compared: 'everything' | 'content' | 'archive-only';
      /** What a tar cannot hold, which was not compared. */
      except: string[];
      objects: string[];
      members: number;
      files: number;
      bytes: number;
      differenceCount: number;
      differences: DifferenceNote[];
      seconds: number;
    }
  | { code: 'claim.taken-over'; snapshot: string }
  | { code: 'snapshot.skipped'; snapshot: string; reason: string }
  | { code: 'archive.replaced'; snapshot: string; reason: string }
  | { code: 'object.kept'; snapshot: string; key: string; plainBytes: number; storedBytes: number }
  /** The object differed, possibly because of damage in transit, and is read again before the difference is reported. */
  | { code: 'object.reread'; snapshot: string; key: string }
  | { code: 'upload.resumed'; snapshot: string; key: string; parts: number; bytes: number }
  | { code: 'upload.restarted'; snapshot: string; key: string; reason: string }
  | { code: 'index.stored'; snapshot: string; key: string }
  | { code: 'index.left-out'; snapshot: string; key: string; reason: string }
  | { code: 'manifest.stored'; snapshot: string; key: string }
  | { code: 'snapshot.finished'; snapshot: string; outcome: SnapshotOutcome; seconds: number; error?: SnapError }
  | { code: 'cleanup.failed'; snapshot: string; what: string; error: SnapError }
  | { code: 'call.retried'; service: string; attempt: number; because: string; waitSeconds: number }
  | {
      code: 'clean.found';
      snapshot: string;
      kind: string;
      id: string;
      what: string;
      ageSeconds: number | null;
      dollarsMonth: number | null;
      obstacle: string | null;
    }
  | { code: 'clean.removed'; snapshot: string; kind: string; id: string }
  | {
      code: 'clean.finished';
      isDryRun: boolean;
      found: number;
      removed: number;
      left: number;
      /** Monthly cost of the remaining leftovers in US dollars. */
      dollarsMonth: number;
    }
  | {
      code: 'doctor.finding';
      check: string;
      verdict: 'ok' | 'warning' | 'problem';
      detail: string;
      hint: string | null;
    }
  | { code: 'doctor.finished'; warnings: number; problems: number }
  | {
      code: 'object.restored';
      snapshot: string;
      key: string;
      target: string;
      bytes: number;
      /** `null` for images. */
      files: number | null;
      /** Stored bytes that were read, including the index. */
      fetchedBytes: number;
      seconds: number;
    }
  | { code: 'volume.restored'; snapshot: string; volume: string; sizeGiB: number; availabilityZone: string }
  | { code: 'boot-loader.missing'; snapshot: string; reason: string }
  | {
      code: 'thaw.offered';
      snapshot: string;
      objects: number;
      bytes: number;
      storageClasses: string[];
      days: number;
      /** The selected tier. */
      tier: string;
      offers: ThawOffer[];
    }
  | {
      code: 'thaw.requested';
      snapshot: string;
      key: string;
      tier: string;
      days: number;
      state: 'requested' | 'ongoing' | 'restored';
    }
  | { code: 'thaw.waiting'; snapshot: string; objects: number; of: number }
  | { code: 'thaw.finished'; snapshot: string; objects: number; seconds: number }
  /** Content that an earlier run restored, and that was verified now; `files` is `null` for images. */
  | { code: 'restore.continued'; snapshot: string; key: string; files: number | null; bytes: number }
  | { code: 'restore.planned'; snapshot: string; plan: RestorePlan }
  /** All blocks of the new snapshot are written; the same command completes it. */
  | { code: 'restore.completing'; snapshot: string; id: string }
  | { code: 'restore.unfinished'; snapshot: string; path: string }
  | { code: 'files.left-out'; snapshot: string; key: string; devices: number; privileges: number }
  | {
      code: 'files.incomplete';
      snapshot: string;
      key: string;
      target: string;
      /** The first messages of tar about attributes that it could not restore. */
      messages: string[];
      /** Number of all such messages. */
      count: number;
      /** Number of files, directories and links whose times the target cannot store. */
      times: number;
    }
  | { code: 'partition.not-restored'; snapshot: string; partition: number | null; reason: string }
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
  | {
      code: 'report.read';
      name: string;
      format: string;
      granularity: string;
      rows: number;
      ofSnapshots: number;
      broken: number;
      unclear: number;
      seconds: number;
    }
  | {
      code: 'ratio.measured';
      bucket: string;
      prefix: string;
      compression: number;
      archives: number;
      leftOut: number;
    }
  | { code: 'region.described'; region: string; snapshots: number; volumes: number; images: number }
  | { code: 'live.planned'; region: string; snapshots: number; requests: number; dollars: number }
  | { code: 'list.finished'; archives: number; storedBytes: number; dollarsMonth: number; priceNote: string | null }
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

export interface PartitionNote {
  /** `null` for a disk without a partition table. */
  number: number | null;
  filesystem: string | null;
  bytes: number;
}

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

/** The progress of an object, which the host polls. */
export interface ProgressTask {
  readonly label: string;
  readonly expectedBytes: number;
  /** Plain bytes read so far, including those before `from`. */
  read(): number;
  /** Plain bytes that an earlier run has read and that this one skips (default: 0). */
  from?: number;
  /** Bytes uploaded to S3 so far; `null` if nothing is uploaded. */
  stored: (() => number) | null;
}

/** A resource that a run holds, and that costs money or blocks other runs until it is released. */
export interface Holding {
  /** For example `volume vol-1 (of snap-1)`. */
  what: string;
  /** A shell command that releases it. */
  cleanupCommand: string;
}

export interface Host {
  notify(event: SnapEvent): void;
  /** Shows the progress of a task until disposed. */
  track(task: ProgressTask): Disposable;
  /** Records a resource until disposed, so that a run that is stopped immediately can report what it leaves behind. */
  hold(holding: Holding): Disposable;
}

const nothing: Disposable = { [Symbol.dispose]: () => {} };

/** A host that ignores all events, for library users who need only the result. */
export const silentHost: Host = { notify: () => {}, track: () => nothing, hold: () => nothing };
