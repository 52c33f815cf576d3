/** The manifest. It is written last: an archive without a manifest is unfinished. */
import type { Snapshot, StoredObject } from '../cloud/ports.ts';
import type { Codec } from './codec.ts';
import type { ExpiryMark } from './expiry/mark.ts';
import { type Cipher, formatStartTime, type Layout } from './key.ts';
import type { LockNote } from './lock-note.ts';

/** Increased when a reader of the old format would misinterpret the new one. */
export const MANIFEST_FORMAT = 1;

export interface ManifestObject {
  key: string;
  partition: number | null;
  layout: Layout;
  codec: Codec['name'];
  compressionLevel: number;
  cipher: Cipher;
  filesystem: string | null;
  uuid: string | null;
  label: string | null;
  /** How the filesystem was created; `null` for images, if it is unknown, or if it is sealed. */
  geometry?: FilesystemGeometry | null;
  /**
   * Bytes of file data in a tar, without holes; `null` for images, if they were not counted, or if it is sealed.
   * Manifests of earlier versions lack this and the next two fields.
   */
  contentBytes?: number | null;
  /** For a tar, the bytes that the filesystem had for files, used or free. */
  roomBytes?: number | null;
  /** For a tar, a sentence about why it cannot be restored to a volume like the original; `null` if it can. */
  volumeObstacle?: string | null;
  /** What a tar does not keep of the filesystem; `null` if it is sealed. Manifests of earlier versions lack it. */
  notKept?: NotKeptNote[] | null;
  plainBytes: number;
  /** SHA-256 of the plain stream in hexadecimal. It is known once the object has been validated. */
  plainSha256: string | null;
  storedBytes: number;
  etag: string;
  versionId: string | null;
  checksum: StoredObject['checksum'];
  /** Number of sockets that tar skipped; `null` for images. */
  socketsSkipped: number | null;
  /** The index of the object; `null` if it has none. */
  index: { key: string; etag: string; bytes: number } | null;
}

/** The parameters for recreating the filesystem. Boot loaders and old kernels do not support every feature. */
export interface FilesystemGeometry {
  blockBytes: number | null;
  inodeBytes: number | null;
  inodes: number | null;
  /** `has_journal` (ext, as in dumpe2fs), `reflink=1` (xfs, as in xfs_info), `FAT16` (vfat). */
  features: string[];
  /** Further parameters, listed in docs/archive-format.md. Manifests of earlier versions lack them. */
  made?: Record<string, number | string>;
}

/** A partition without an object. */
export interface RecordedPartition {
  partition: number | null;
  filesystem: string | null;
  uuid: string | null;
  label: string | null;
  /** How it was created; `null` if it is unknown or sealed. Manifests of earlier versions lack it. */
  geometry?: FilesystemGeometry | null;
  bytes: number;
  /** Why it has no object: `swap`. */
  reason: string;
}

export interface ManifestDisk {
  bytes: number;
  sectorBytes: number;
  table: 'none' | 'dos' | 'gpt';
  /** The output of `sfdisk --json`; `null` for a disk without a partition table, or if it is sealed. */
  partitionTable: unknown;
  /** The first 446 bytes of the disk (boot code), in Base64; `null` if it is sealed. */
  bootCode: string | null;
  /**
   * For a table of type `dos`, the bytes between the first sector and the first partition, in Base64; `null` if there
   * is none.
   */
  bootGap?: string | null;
  /**
   * Data outside the partitions and the fields above; `null` if it is sealed. Manifests of earlier versions lack this
   * and the next field.
   */
  notKept?: NotKeptNote[] | null;
  /** A sentence about why the partition table cannot be recreated; `null` if it can, or if it is sealed. */
  volumeObstacle?: string | null;
}

export interface NotKeptNote {
  what: string;
  /** Number of files; `null` if all have it, or if it belongs to the filesystem or disk itself. */
  count: number | null;
}

/** The part of the disk's description that an encrypted archive shows in plain text. */
export const publicDisk = (disk: ManifestDisk): ManifestDisk => ({
  ...disk,
  partitionTable: null,
  bootCode: null,
  bootGap: null,
  notKept: null,
  volumeObstacle: null,
});

/** The part of an object's description that an encrypted archive shows in plain text: no more than its S3 metadata. */
export const publicObject = (object: ManifestObject): ManifestObject => ({
  ...object,
  uuid: null,
  label: null,
  geometry: null,
  contentBytes: null,
  roomBytes: null,
  volumeObstacle: null,
  plainSha256: null,
  notKept: null,
});

/** How the identity of a device was established. */
export interface DeviceProof {
  /** The serial number of its NVMe device, or its name and size, which prove nothing. */
  identifiedBy: 'serial' | 'name';
  /** Number of blocks that were compared with the snapshot and are equal. */
  blocks: number;
  /** Why no blocks were compared; `null` if some were. */
  reason: string | null;
}

export interface Manifest {
  format: typeof MANIFEST_FORMAT;
  tool: { name: 'snap-to-s3'; version: string };
  snapshot: {
    id: string;
    volumeId: string;
    region: string;
    ownerId: string;
    sizeGiB: number;
    /**
     * Bytes of all blocks ever written (`FullSnapshotSizeInBytes`); `null` if AWS did not report it. Earlier versions
     * lack it.
     */
    dataBytes?: number | null;
    startTime: string;
    description: string;
    encrypted: boolean;
    kmsKeyId: string | null;
    tags: Record<string, string>;
  };
  source: 'volume' | 'direct';
  /** How the device of the volume was identified; `null` for direct reads. Manifests of earlier versions lack it. */
  device?: DeviceProof | null;
  layout: Layout;
  /** For tars, whether journals were replayed first. Manifests of earlier versions lack it. */
  replayedJournals?: boolean;
  startedAt: string;
  finishedAt: string;
  disk: ManifestDisk;
  objects: ManifestObject[];
  recorded: RecordedPartition[];
  /** The lock that the objects were stored with; absent without one, and in manifests of earlier versions. */
  lock?: LockNote | null;
  /** When all content was compared with the snapshot without a difference; `null` if this has not happened yet. */
  validatedAt: string | null;
  /** When a comparison with the snapshot last found differences. A later successful validation removes it. */
  differedAt?: string;
  /** Absent unless `expire` is going to remove the archive. */
  expiry?: ExpiryMark;
  /** The complete manifest as a gpg message in Base64 if the archive is encrypted; otherwise `null`. */
  sealed: string | null;
}

export const manifestSnapshot = (snapshot: Snapshot, region: string): Manifest['snapshot'] => ({
  id: snapshot.id,
  volumeId: snapshot.volumeId,
  region,
  ownerId: snapshot.ownerId,
  sizeGiB: snapshot.sizeGiB,
  dataBytes: snapshot.dataBytes,
  startTime: formatStartTime(snapshot.startTime),
  description: snapshot.description,
  encrypted: snapshot.encrypted,
  kmsKeyId: snapshot.kmsKeyId,
  tags: snapshot.tags,
});

/** Indented for people who read it in a terminal. */
export const encodeManifest = (manifest: Manifest): Buffer => Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
