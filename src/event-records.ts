/** What events carry of archives, their files, and drills. */

/** What an archive without a manifest is: one of version 0, which wrote none, or one whose migration did not end. */
export type ArchiveOrigin = 'version-0' | 'unfinished' | 'unknown';

/** What differs between an archive and what it is compared with. */
export interface DifferenceNote {
  /** Key of the object; empty where none holds it. */
  object: string;
  kind: string;
  /** Printable; empty where it is about the whole object. */
  path: string;
  detail: string;
}

/** One archive, as far as it is known without its data. All text is printable. */
export interface ShownArchive {
  manifest: ShownManifest | null;
  /** Of an archive without a manifest: what it is, and what tells that, as a clause; else `null`. */
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

/** Nothing is known of what is `null`. */
export interface ShownManifest {
  /** Name and version of the program that wrote it. */
  tool: string;
  source: string | null;
  layout: string | null;
  startedAt: string | null;
  finishedAt: string | null;
  validatedAt: string | null;
  /** When it last differed from its snapshot, and has not been proved since. */
  differedAt: string | null;
  /** Whether labels, UUIDs, partition table and all tags are kept encrypted. */
  isSealed: boolean;
  /** Why what is sealed could not be opened; `null` where it was, and where nothing is. */
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
  /** Of the partition table: GUID for GPT, hexadecimal number for MBR. */
  tableId: string | null;
  /** In the order of the partition table; extended ones too. */
  partitions: ShownPartition[];
}

export interface ShownPartition {
  number: number;
  /** Bytes from the beginning of the disk; here and below `null` where the table does not tell. */
  start: number | null;
  bytes: number | null;
  /** GUID for GPT, hexadecimal code for MBR. */
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
  /** `null`, here and below, where the object is not in the bucket. */
  storedBytes: number | null;
  storageClass: string | null;
  retrieval: 'not-needed' | 'needed' | 'ongoing' | 'restored' | null;
  storedAt: string | null;
}

/** A file of an archive, as the index has it. */
export interface ListedFile {
  snapshot: string;
  key: string;
  partition: number | null;
  /** From the root on; empty for the root. Printable. */
  path: string;
  /** The name itself, where it is not what `path` shows. */
  pathBase64: string | null;
  type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';
  mode: number;
  uid: number;
  gid: number;
  /** Bytes, holes included; a bigint where it is too long for a number. */
  size: number | bigint;
  /** Seconds since the epoch. */
  mtime: number;
  /** Of links; printable. */
  target: string | null;
  device: { major: number; minor: number } | null;
  /** Of the data, in base 16. */
  sha256: string | null;
}

/** What a drill found, for whoever asks whether the archives can be restored. */
export interface DrillReport {
  format: 1;
  kind: 'drill';
  /** `nothing`: there was no archive to be drilled. */
  verdict: 'passed' | 'differs' | 'failed' | 'nothing' | 'unfinished';
  tool: string;
  startedAt: string;
  finishedAt: string;
  /** Who ran it, and where. */
  user: string;
  host: string;
  /** Whose credentials were used, by STS; both `unknown` where it did not tell, which is a warning. */
  caller: { arn: string; account: string };
  warnings: string[];
  bucket: string;
  prefix: string;
  /** What archives were chosen among. */
  filter: { volumes: readonly string[]; snapshots: readonly string[]; since: string | null; until: string | null };
  seed: string;
  sample: number;
  /** Archives that fit the filter; those of them that are not complete, or would have to be thawed, were not chosen among. */
  population: { found: number; incomplete: number; archived: number };
  archives: DrillRow[];
}

export interface DrillRow {
  snapshot: string;
  volume: string | null;
  /** Of the snapshot. */
  startTime: string | null;
  storedAt: string | null;
  keys: string[];
  /** `unfinished`: it is being thawed, or the drill was interrupted. */
  outcome: 'passed' | 'differs' | 'failed' | 'unfinished';
  restoredAt: string;
  files: number;
  bytes: number;
  /** Read from the bucket. */
  fetchedBytes: number;
  /** Seconds. */
  restoring: number;
  comparing: number;
  /** What was restored was read again, and held against these. */
  comparedWith: DrillEvidence[];
  differenceCount: number;
  /** The first ones. */
  differences: DifferenceNote[];
  /** Why it failed. */
  reason: string | null;
}

/** `archive`: fetched a second time. `content`: and only what files contain, for want of root. */
export type DrillEvidence = 'index' | 'archive' | 'archive-content' | 'snapshot';

/** What a restore would do, as far as it can be told without doing anything. */
export interface RestorePlan {
  target: 'directory' | 'file' | 'device' | 'snapshot' | 'volume';
  objects: PlannedObject[];
  /** What it takes wherever something is written, and what there is. */
  rooms: PlannedRoom[];
}

export interface PlannedObject {
  key: string;
  partition: number | null;
  layout: 'tar' | 'image';
  /** Where it comes to. */
  to: string;
  storageClass: string;
  retrieval: 'not-needed' | 'needed' | 'ongoing' | 'restored';
  storedBytes: number;
  /** Of them, those that are read, at the most. */
  fetchBytes: number;
  /** Of the whole tar or image; `null` where nothing tells. */
  plainBytes: number | null;
}

export interface PlannedRoom {
  where: string;
  /** At the most; `null` where nothing tells. */
  neededBytes: number | null;
  /** Free, or of the device, or of what would be made. */
  roomBytes: number;
  /** What is there and would be destroyed, e.g. `ext4`; else `null`. */
  holds: string | null;
}

/** What making objects in archive classes readable takes and costs. */
export interface ThawOffer {
  tier: 'Bulk' | 'Standard' | 'Expedited';
  /** e.g. `up to 12 hours` */
  takes: string;
  /** US dollars at list prices of the region, with the copy for the days that were asked for. */
  dollars: number;
}
