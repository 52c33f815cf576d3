/** Data types of events: archives, their files, drills and plans. */

/** The origin of an archive without a manifest: version 0, which wrote none, or a migration that was not finished. */
export type ArchiveOrigin = 'version-0' | 'unfinished' | 'unknown';

/** A difference between an archive and the data that it is compared with. */
export interface DifferenceNote {
  /** Key of the object; empty if no object contains it. */
  object: string;
  kind: string;
  /** Printable; empty if the difference concerns the whole object. */
  path: string;
  detail: string;
}

/** An incremental archive: what it stores itself, and what it shares. */
export interface PointSummary {
  /** Size of the disk. */
  diskBytes: number;
  /** How its own blocks were chosen: all, those that EBS reports as changed, or those with other hashes. */
  how: 'base' | 'changed-blocks' | 'hashes';
  /** The snapshot whose archive this one continues; `null` for a base. */
  parent: string | null;
  /** The snapshot of the base. */
  base: string;
  /** Packs that it stored itself, and their stored bytes. */
  packs: number;
  ownBytes: number;
  /** Bytes of its disk that are in packs of other snapshots, before compression, and the number of those snapshots. */
  sharedBytes: number;
  sharedWith: number;
  /** When it was last compared with its snapshot without a difference, and all of its packs had been read; `null` if never. */
  validatedAt: string | null;
  /** When it was last compared with its snapshot without a difference, and whether its packs had been read; `null` if never. */
  validation: { at: string; packs: 'read' | 'not-read' } | null;
}

/** How many of the packs that an incremental archive needs a validation has read. */
export interface PackCounts {
  /** Read now. */
  read: number;
  /** Looked up now, and read by the validation of the archive that stored them. */
  readBefore: number;
  /** Only looked up, because packs must be thawed first. */
  unread: number;
}

/** An incremental archive with the snapshots whose packs hold its blocks. */
export interface ShownPoint extends PointSummary {
  /** Why it is a base, or was compared by hashes; otherwise `null`. */
  reason: string | null;
  storageClass: string;
  codec: 'lz4' | 'zstd';
  cipher: 'none' | 'gpg';
  /** With the bytes of its disk that are in their packs, before compression. */
  generations: { snapshot: string; usedBytes: number }[];
}

/** An archive without its data. All text is printable. */
export interface ShownArchive {
  /** `null` unless the archive is incremental. */
  point: ShownPoint | null;
  manifest: ShownManifest | null;
  /** The origin of an archive without a manifest, with the evidence as a clause; otherwise `null`. */
  origin: { is: ArchiveOrigin; reason: string } | null;
  objects: ShownObject[];
  recorded: {
    partition: number | null;
    filesystem: string | null;
    label: string | null;
    uuid: string | null;
    bytes: number | null;
    reason: string | null;
  }[];
}

/** A manifest. Unknown values are `null`. */
export interface ShownManifest {
  /** Name and version of the program that wrote it. */
  tool: string;
  source: string | null;
  layout: string | null;
  startedAt: string | null;
  finishedAt: string | null;
  validatedAt: string | null;
  /** When a validation found a difference, unless a later one succeeded. */
  differedAt: string | null;
  /** The lock with which the objects were stored, such as `GOVERNANCE until 2027-01-31T10:00:00.000Z`. */
  lock: string | null;
  /** Whether the tags, labels, UUIDs and the partition table are encrypted. */
  isSealed: boolean;
  /** Why the sealed part could not be opened; `null` if it was opened, or nothing is sealed. */
  whyClosed: string | null;
  volume: string | null;
  region: string | null;
  owner: string | null;
  sizeGiB: number;
  startTime: string | null;
  description: string;
  encrypted: boolean;
  tags: Record<string, string>;
  diskBytes: number | null;
  sectorBytes: number | null;
  table: string | null;
  /** Id of the partition table: a GUID for GPT, a hexadecimal number for MBR. */
  tableId: string | null;
  /** The partitions in the order of the partition table, including extended ones. */
  partitions: ShownPartition[];
}

export interface ShownPartition {
  number: number;
  /** Offset in bytes from the beginning of the disk; `null`, here and below, if the table does not record it. */
  start: number | null;
  bytes: number | null;
  /** A GUID for GPT, a hexadecimal code for MBR. */
  type: string | null;
  name: string | null;
  uuid: string | null;
}

export interface ShownObject {
  key: string;
  partition: number | null;
  layout: 'tar' | 'image';
  codec: 'lz4' | 'zstd';
  cipher: 'none' | 'gpg';
  filesystem: string | null;
  label: string | null;
  uuid: string | null;
  plainBytes: number | null;
  hasIndex: boolean;
  /** `null`, here and below, if the object is not in the bucket. */
  storedBytes: number | null;
  storageClass: string | null;
  retrieval: 'not-needed' | 'needed' | 'ongoing' | 'restored' | null;
  storedAt: string | null;
}

/** A file of an archive according to its index. */
export interface ListedFile {
  snapshot: string;
  key: string;
  partition: number | null;
  /** Printable, relative to the root of the filesystem; empty for the root. */
  path: string;
  /** The original name, if `path` is not identical to it. */
  pathBase64: string | null;
  type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';
  mode: number;
  uid: number;
  gid: number;
  /** Bytes including holes; a bigint above 2^53. */
  size: number | bigint;
  /** Seconds since the epoch. */
  mtime: number;
  /** Target of a link; printable. */
  target: string | null;
  device: { major: number; minor: number } | null;
  /** Hash of the data in hexadecimal. */
  sha256: string | null;
}

/** The report of a drill. */
export interface DrillReport {
  format: 1;
  kind: 'drill';
  /** `nothing`: no archive could be selected. */
  verdict: 'passed' | 'differs' | 'failed' | 'nothing' | 'unfinished';
  tool: string;
  startedAt: string;
  finishedAt: string;
  /** The user who ran the drill. */
  user: string;
  /** The machine on which the drill ran. */
  host: string;
  /** The AWS identity according to STS; `unknown`, with a warning, if STS did not return it. */
  caller: { arn: string; account: string };
  warnings: string[];
  bucket: string;
  prefix: string;
  /** The archives from which the sample was selected. */
  filter: { volumes: readonly string[]; snapshots: readonly string[]; since: string | null; until: string | null };
  seed: string;
  sample: number;
  /**
   * Number of archives that match the filter, how many of them are incremental, and how many were excluded as incomplete or
   * in archive classes.
   */
  population: { found: number; incomplete: number; incremental: number; archived: number };
  archives: DrillRow[];
}

export interface DrillRow {
  snapshot: string;
  volume: string | null;
  /** Start time of the snapshot. */
  startTime: string | null;
  storedAt: string | null;
  keys: string[];
  /** `unfinished`: S3 is thawing the archive, or the drill was interrupted. */
  outcome: 'passed' | 'differs' | 'failed' | 'unfinished';
  restoredAt: string;
  files: number;
  bytes: number;
  /** Bytes read from the bucket. */
  fetchedBytes: number;
  /** Seconds of restoring. */
  restoring: number;
  /** Seconds of comparing. */
  comparing: number;
  /** What the restored data was compared with. */
  comparedWith: DrillEvidence[];
  /** The packs that were read, as far as they were; `null` unless the archive is incremental. */
  packs: DrilledPack[] | null;
  differenceCount: number;
  /** The first differences. */
  differences: DifferenceNote[];
  /** Why the archive failed. */
  reason: string | null;
}

/**
 * `archive`: the archive, read a second time; `archive-content`: only the contents of its files, without root;
 * `block-lists`: the map of an incremental archive and the block lists of its generations.
 */
export type DrillEvidence = 'index' | 'block-lists' | 'archive' | 'archive-content' | 'snapshot';

/** A pack from which a drill has read the blocks that the archive uses. */
export interface DrilledPack {
  key: string;
  /** The snapshot whose generation it belongs to. */
  generation: string;
  /** Number of its blocks that the archive uses. */
  blocks: number;
  fetchedBytes: number;
  /** `null` if every block was read, and matches its hash. */
  damage: PackDamage | null;
}

export interface PackDamage {
  detail: string;
  /** The snapshots of the volume whose points need the pack. */
  neededBy: string[];
  /**
   * The snapshots of which that is unknown, because their manifest or map cannot be read; `null` if the manifests of the
   * volume cannot be listed.
   */
  unknown: string[] | null;
}

/** The plan of `restore --dry-run`. */
export interface RestorePlan {
  target: 'directory' | 'file' | 'device' | 'snapshot' | 'volume';
  objects: PlannedObject[];
  /** The required and the available space of each target. */
  rooms: PlannedRoom[];
}

export interface PlannedObject {
  key: string;
  partition: number | null;
  layout: 'tar' | 'image';
  /** The target. */
  to: string;
  storageClass: string;
  retrieval: 'not-needed' | 'needed' | 'ongoing' | 'restored';
  storedBytes: number;
  /** Maximum number of stored bytes to read. */
  fetchBytes: number;
  /** Plain bytes of the whole tar or image; `null` if unknown. */
  plainBytes: number | null;
}

export interface PlannedRoom {
  where: string;
  /** Maximum number of bytes to write; `null` if unknown. */
  neededBytes: number | null;
  /** Free space of the filesystem, or the size of the device, volume or snapshot. */
  roomBytes: number;
  /** Existing content that would be destroyed, e.g. `ext4`; otherwise `null`. */
  holds: string | null;
}

/** The time and the price of thawing objects in one retrieval tier. */
export interface ThawOffer {
  tier: 'Bulk' | 'Standard' | 'Expedited';
  /** For example `up to 12 hours`. */
  takes: string;
  /** US dollars at list prices of the region, including the copy for the requested days. */
  dollars: number;
}
