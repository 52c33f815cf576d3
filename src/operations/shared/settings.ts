/** What operations are told, in types that cannot be wrong: flags end at the command line. */
import type { Encryption } from '../../archive/cipher.ts';
import type { Codec } from '../../archive/codec.ts';
import type { Layout } from '../../archive/key.ts';
import type { BlockCounts, NewSnapshots, SnapshotBlocks } from '../../cloud/blocks.ts';
import type { Examiner } from '../../cloud/examiner.ts';
import type { Inventory } from '../../cloud/inventory.ts';
import type { ArchiveStore, Call, CallerIdentity, Instance, Snapshots, ThawOrder, Volumes } from '../../cloud/ports.ts';
import type { Assumptions } from '../../costs/analysis.ts';
import type { Prices } from '../../costs/price-types.ts';
import type { Host } from '../../events.ts';
import type { DirectAccess } from '../../fuse/serving-order.ts';
import type { BlockBudget } from '../../transfer/governor.ts';

export type Selection =
  | { by: 'id'; ids: readonly string[] }
  /**
   * `most`: how many at the most, oldest first; `null` for all. `underWay`: the value that a run that was killed leaves
   * behind.
   */
  | { by: 'tag'; value: string; underWay: string; most: number | null };

/** Where a snapshot's disk comes from: a temporary volume, the EBS direct APIs, or whichever suits. */
export type SourceChoice = 'volume' | 'direct' | 'auto';

/** What is said of work on a snapshot: its claim, its disk and its mounts. */
export interface VolumeSettings {
  /** Snapshots worked on at once. */
  concurrency: number;
  source: SourceChoice;
  /** Blocks on their way from the EBS direct APIs at once. */
  blockStreams: number;
  replayJournals: boolean;
  mountPoint: string;
  volumeType: string;
  kmsKeyId: string | undefined;
  keepVolumes: boolean;
  /** Milliseconds for each change of state of a volume. */
  waitLimit: number;
  /** Seconds that a claim lives without being renewed. */
  claimLife: number;
}

export interface ValidateSettings extends VolumeSettings {
  selection: Selection;
  tagKey: string;
  prefix: string;
  /** Only what regular files contain. */
  contentOnly: boolean;
  /** Against the archive's own manifest, without the snapshot. */
  archiveOnly: boolean;
  /** Of gpg, instead of a private key. */
  sessionKey: string | null;
  /** Ranges on their way from S3 at once. */
  downloadStreams: number;
  /** Whether an archive without a manifest is read although it may be unfinished. */
  withoutManifest: boolean;
}

export interface MigrateSettings extends VolumeSettings {
  selection: Selection;
  /** Key of the tag that carries a snapshot's state, and marks temporary volumes. */
  tagKey: string;
  /** Empty, or ending in `/`. */
  prefix: string;
  layout: Layout;
  codec: Codec;
  encryption: Encryption | null;
  /** Partitions of one disk that are archived at once. */
  partitionsAtOnce: number;
  storageClass: string;
  /** Parts on their way to S3 at once. */
  uploadStreams: number;
  /** Whether a filesystem that cannot be archived as files fails, instead of becoming an image. */
  strict: boolean;
  /** Whether the archive is validated before it is called complete. */
  validate: boolean;
  /** Whether an archive that is complete with the same settings is stored again. */
  replace: boolean;
  dryRun: boolean;
}

/** What `clean` looks for, and whether it removes it. */
export interface CleanSettings extends Pick<VolumeSettings, 'mountPoint' | 'waitLimit' | 'claimLife'> {
  tagKey: string;
  prefix: string;
  /** Seconds: what is younger is left to runs that go on where another broke off. */
  olderThan: number;
  /** `false`: only shows what is there. */
  remove: boolean;
}

/** Which archives are meant; empty and `null` are all. */
export interface ArchiveFilter {
  prefix: string;
  volumes: readonly string[];
  snapshots: readonly string[];
  /** By the start time of the snapshot: from this instant on, and before that one. */
  since: Date | null;
  until: Date | null;
}

export interface ListSettings extends ArchiveFilter {
  /** That the snapshot had, as the manifest tells, or else the objects; `value`: `null` for any. */
  tags: readonly WantedTag[];
}

export interface WantedTag {
  key: string;
  value: string | null;
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

/** Of objects in archive classes, what may be asked for. */
export interface ThawSettings {
  tier: ThawOrder['tier'];
  /** That the copies stay. */
  days: number;
  /** Asked once it is told what it takes and costs; `null`: nobody can say yes. */
  consent: (() => Promise<boolean>) | null;
  /** Whether to wait until they can be read. */
  wait: boolean;
  /** The command that goes on later, to be shown. */
  again: string;
}

/** What is given back, and where to. */
export interface RestoreSettings {
  thaw: ThawSettings;
  snapshotId: string;
  prefix: string;
  /** `null`: the whole disk. */
  partition: number | null;
  target: { kind: 'file'; path: string } | DeviceTarget | SnapshotTarget | FilesOrder | VolumeTarget;
  /** Only tells what would be done. */
  dryRun: boolean;
  /** Of a new snapshot or volume: also where the old one was not encrypted. */
  encrypt: boolean;
  /** Of a new snapshot or volume; `null`: the account's default key. */
  kmsKeyArn: string | null;
  /** Whether a file or what is on a device may be destroyed. */
  overwrite: boolean;
  /** Of gpg, instead of a private key. */
  sessionKey: string | null;
  /** Ranges on their way from S3 at once. */
  downloadStreams: number;
  /** Whether the index of a tar says where its files are, and what they hash to. */
  useIndex: boolean;
  /** Whether an archive without a manifest is read although it may be unfinished. */
  withoutManifest: boolean;
}

/** A block device. */
export interface DeviceTarget {
  kind: 'device';
  path: string;
  /** Asked before what is on it is destroyed. */
  consent: (device: DeviceNote) => Promise<boolean>;
}

export interface DeviceNote {
  path: string;
  bytes: number;
  /** What is known to be on it, e.g. `ext4`; else `null`. */
  holds: string | null;
}

export interface SnapshotTarget {
  kind: 'snapshot';
  /** Key of the tag that carries the state of snapshots, which the new one does not get. */
  tagKey: string;
}

/** A new volume, attached here while it is filled. */
export interface VolumeTarget extends Pick<VolumeSettings, 'mountPoint' | 'volumeType' | 'waitLimit'> {
  kind: 'volume';
  /** `null`: as large as the old one. */
  sizeGiB: number | null;
  /** Key of the tag that marks the volume as long as it is not complete. */
  tagKey: string;
}

/** Archives that are restored to see whether they can be. */
export interface DrillSettings extends ArchiveFilter, VolumeSettings {
  /** How many at the most. */
  sample: number;
  /** Decides which: the same one chooses the same archives. */
  seed: string;
  /** A directory; what is restored lies below it for a while. `null`: where temporary files are. */
  scratch: string | null;
  /** `null`: archives that would have to be thawed are left out. */
  thaw: ThawSettings | null;
  /** Whether snapshots that still exist are compared as well, and their tag. */
  withSnapshot: boolean;
  /** Who runs it, for the report. */
  user: string;
  tagKey: string;
  downloadStreams: number;
  /** Whether archives without a manifest are drilled although they may be unfinished. */
  withoutManifest: boolean;
}

/** Files below a directory. */
export interface FilesOrder {
  kind: 'directory';
  path: string;
  /** Only these and what is below them; `null` for everything. Without `.` and `..`. */
  paths: readonly string[] | null;
  /** Device nodes, set-user-ID and set-group-ID bits and file capabilities too. */
  isPrivileged: boolean;
}

/** A night run as it would be, for `doctor` to look at beforehand. */
export interface DoctorSettings {
  tagKey: string;
  prefix: string;
  codec: Codec['name'];
  recipients: readonly string[];
  source: SourceChoice;
  volumeType: string;
  mountPoint: string;
}

/** What is analysed, and what is known beforehand. */
export interface AnalyzeSettings {
  /** Paths, `s3://` addresses, or `-` for standard input; empty for `live`. */
  inputs: readonly string[];
  /** What `-` is. */
  input: AsyncIterable<Uint8Array>;
  /** Billing months that are read of a report in S3, newest first. */
  months: number;
  /** Only these; empty for all. */
  regions: readonly string[];
  accounts: readonly string[];
  /** Whether EC2 is asked what snapshots are. */
  isOffline: boolean;
  ratio: RatioChoice;
  reading: Assumptions['reading'];
  /** How long archives are kept, in months. */
  keepMonths: number;
}

/** How well archives are taken to compress: plain bytes for each stored one, or as the archives in a bucket do. */
export type RatioChoice =
  | { is: 'assumed' | 'given'; compression: number }
  | { is: 'measured'; bucket: string; prefix: string };

/** The part of the outside world that bills are about. */
export interface AnalyzeServices {
  inventory: Inventory;
  counts: BlockCounts;
  /** Any bucket that may be read. */
  bucket(name: string): ReadableBucket;
  /** Of these regions; the report tells which. */
  prices(regions: readonly string[], call: Call): Promise<Prices>;
  host: Host;
}

export type ReadableBucket = Pick<ArchiveStore, 'bucket' | 'objects' | 'head' | 'reader' | 'getSmall'>;

/** The outside world, as operations see it. */
export interface Services {
  snapshots: Snapshots;
  /** Those of another region. */
  snapshotsIn(region: string): Snapshots;
  volumes: Volumes;
  blocks: SnapshotBlocks;
  newSnapshots: NewSnapshots;
  budget: BlockBudget;
  /** For processes of their own that read blocks. */
  directAccess: DirectAccess;
  store: ArchiveStore;
  examiner: Examiner;
  region: string;
  /** @throws SnapError `NOT_ON_INSTANCE` */
  instance(): Promise<Instance>;
  /** @throws SnapError `NOT_SUPPORTED_HERE` for the credentials of another store than AWS's. */
  callerIdentity(call: Call): Promise<CallerIdentity>;
  /** Waits until the machine is announced to be stopped or taken away. @returns why, as a clause. */
  awaitNotice(signal: AbortSignal): Promise<string>;
  /** Where programs are looked for, as in `PATH`. */
  searchPath: string;
  host: Host;
}
