/**
 * What an operation tells while it runs. Operations never print: they notify a `Host`, and hosts turn events into
 * text, JSON lines or a progress bar. Codes are stable and documented in docs/events.md.
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

/** US dollars for reading a snapshot, by source; `null` where it is not known. */
export interface ReadingCost {
  volume: number | null;
  direct: number | null;
}

/** `thawing`: S3 is making readable copies of objects in an archive class; the same command goes on later. */
export type SnapshotOutcome = 'done' | 'failed' | 'interrupted' | 'thawing';

/** An archive as the names, sizes and classes of its objects show it, and its manifest. */
export interface ListedArchive {
  snapshot: string;
  volume: string;
  /** Of the snapshot; ISO 8601. */
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
  /** Index and manifest included. */
  storedBytes: number;
  /** When the last of its objects was stored; ISO 8601. */
  storedAt: string;
  /** In the region and account that the manifest names; `null` where that could not be asked. */
  snapshotExists: boolean | null;
  /** Of storing the data objects, US dollars at list prices of the region; `null` where it is not known. */
  dollarsMonth: number | null;
}

/** The events, by code. `snapshot` is a snapshot id everywhere; sizes are bytes; durations are seconds. */
export type SnapEvent =
  | { code: 'run.started'; command: string; snapshots: string[] }
  | { code: 'snapshot.started'; snapshot: string; volume: string; sizeGiB: number }
  | { code: 'tag.set'; snapshot: string; key: string; value: string }
  /** The snapshot has as many tags as EC2 keeps, and the state tag is not among them. */
  | { code: 'tag.no-room'; snapshot: string; key: string }
  | { code: 'source.chosen'; snapshot: string; source: 'volume' | 'direct'; reason: string; dollars: ReadingCost }
  | { code: 'blocks.slowed'; snapshot: string; limit: 'snapshot' | 'account'; blocksPerSecond: number }
  | { code: 'volume.requested'; snapshot: string; type: string; availabilityZone: string }
  | { code: 'volume.created'; snapshot: string; volume: string }
  | { code: 'volume.reused'; snapshot: string; volume: string }
  | { code: 'volume.attaching'; snapshot: string; volume: string; device: string }
  | { code: 'volume.attached'; snapshot: string; volume: string; device: string }
  /** A few blocks of the device are those of the snapshot. */
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
      /** Of how many files; `null`: of all, or of the filesystem itself. */
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
      /** What no tar keeps, and was not compared. */
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
  /** It differed, and may have been damaged on its way: it is read a second time before that is reported. */
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
      /** Of what is still there, US dollars. */
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
      /** Stored bytes that were read for it. */
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
      /** That was chosen. */
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
  /** What an earlier run has restored already; `files` is `null` for images. */
  | { code: 'restore.continued'; snapshot: string; key: string; files: number | null; bytes: number }
  | { code: 'restore.planned'; snapshot: string; plan: RestorePlan }
  /** A new snapshot that has all of its blocks, and that EBS will complete. */
  | { code: 'restore.completing'; snapshot: string; id: string }
  | { code: 'restore.unfinished'; snapshot: string; path: string }
  | { code: 'files.left-out'; snapshot: string; key: string; devices: number; privileges: number }
  | {
      code: 'files.incomplete';
      snapshot: string;
      key: string;
      target: string;
      /** What tar could not give to files that it made: its first messages, and how many there were. */
      messages: string[];
      count: number;
      /** Files, directories and links whose times the target does not keep. */
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
      /** Of the objects that are there; `null` for a whole disk. */
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
   * `keep`: nothing is stored; `validate`: neither, but it is proved; `replace`: it is stored again; `refuse`: it is not
   * migrated; `unknown`: it may not be looked at.
   */
  action: 'keep' | 'validate' | 'replace' | 'refuse' | 'unknown';
  /** One clause, for people. */
  reason: string;
}

/** What a dry run says of one snapshot. */
export interface SnapshotPlan {
  snapshot: string;
  volume: string;
  sizeGiB: number;
  startTime: string;
  /** Key of the archive without the part that depends on the disk, e.g. `vol-1/2017-01-01T00:00:00+00:00 snap-1`. */
  keyStem: string;
  bucket: string;
  storageClass: string;
  /** Largest number of bytes that will be read, if AWS tells it. */
  dataBytes: number | null;
  /** What is there already, and what would become of it; `null` where nothing is. */
  existing: ExistingArchive | null;
  /** US dollars at list prices; absent prices are `null`, never zero. */
  cost: {
    temporaryVolume: number | null;
    directReads: number | null;
    requests: number | null;
    storageMonth: number | null;
    now: number | null;
    /** What is to be known of the prices, e.g. that they are another region's. */
    note: string | null;
  };
}

/** A running object, polled by the host's ticker: counters count, a ticker draws. */
export interface ProgressTask {
  readonly label: string;
  readonly expectedBytes: number;
  /** Plain bytes read so far, those before `from` included. */
  read(): number;
  /** Plain bytes that an earlier run has read and this one does not; 0 where it is not given. */
  from?: number;
  /** Bytes handed to S3 so far; `null` where nothing is stored. */
  stored: (() => number) | null;
}

/** Something that costs money or blocks others until it is given back. */
export interface Holding {
  /** e.g. `volume vol-1 (of snap-1)` */
  what: string;
  /** The command that gives it back by hand. */
  cleanupCommand: string;
}

export interface Host {
  notify(event: SnapEvent): void;
  /** Shows a running task until it is disposed. */
  track(task: ProgressTask): Disposable;
  /** Remembers what is held until it is disposed, so that a run that is cut short can say what it left. */
  hold(holding: Holding): Disposable;
}

const nothing: Disposable = { [Symbol.dispose]: () => {} };

/** A host that hears everything and says nothing: for library users who only want the result. */
export const silentHost: Host = { notify: () => {}, track: () => nothing, hold: () => nothing };
