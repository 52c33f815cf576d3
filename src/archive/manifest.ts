/** The manifest: the object that is written last, and without which an archive is unfinished. */
import type { Snapshot, StoredObject } from '../cloud/ports.ts';
import { SnapError } from '../errors.ts';
import { CODECS, type Codec } from './codec.ts';
import { type Cipher, formatStartTime, type Layout, parseKey } from './key.ts';

/** Raised when a reader of the old format would misunderstand the new one. */
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
  /** How the filesystem was made; `null` for images, and where it cannot be told or is sealed. */
  geometry?: FilesystemGeometry | null;
  /**
   * Of a tar: bytes of the files' data, holes left out; `null` for images, where nobody counted, and where it is sealed. It
   * and the next two are not in the manifests of earlier versions.
   */
  contentBytes?: number | null;
  /** Of a tar: bytes that the filesystem had for files, used or free. */
  roomBytes?: number | null;
  /** Of a tar: why it cannot be given back to a volume as it was, as a sentence for people; `null`: it can. */
  volumeObstacle?: string | null;
  /** Of a tar: what it cannot keep of the filesystem; `null` where it is sealed. Not in the manifests of earlier versions. */
  notKept?: NotKeptNote[] | null;
  plainBytes: number;
  /** SHA-256 of the plain stream in base 16, known once the object has been validated. */
  plainSha256: string | null;
  storedBytes: number;
  etag: string;
  versionId: string | null;
  checksum: StoredObject['checksum'];
  /** Sockets that tar left out; `null` for images. */
  socketsSkipped: number | null;
  /** What is where in it; `null` for tars, and for images read from volumes. */
  index: { key: string; etag: string; bytes: number } | null;
}

/** What whoever makes the filesystem anew must know: boot loaders and old kernels do not take every feature. */
export interface FilesystemGeometry {
  blockBytes: number | null;
  inodeBytes: number | null;
  inodes: number | null;
  /** `has_journal` (ext, as dumpe2fs names them), `reflink=1` (xfs, as xfs_info does), `FAT16` (vfat). */
  features: string[];
  /** Further facts, by names that docs/archive-format.md lists; not in the manifests of earlier versions. */
  made?: Record<string, number | string>;
}

/** A partition that has no object of its own. */
export interface RecordedPartition {
  partition: number | null;
  filesystem: string | null;
  uuid: string | null;
  label: string | null;
  bytes: number;
  /** Why it is not stored: `swap`. */
  reason: string;
}

export interface ManifestDisk {
  bytes: number;
  sectorBytes: number;
  table: 'none' | 'dos' | 'gpt';
  /** As `sfdisk --json` prints it; `null` for a disk without a partition table, and where it is sealed. */
  partitionTable: unknown;
  /** The first 446 bytes of the disk, Base64: what a boot loader left there; `null` where it is sealed. */
  bootCode: string | null;
  /** With a table `dos`: what follows the first sector, up to the first partition; Base64. `null` where there is none. */
  bootGap?: string | null;
  /**
   * What its partitions and the fields above do not hold; `null` where it is sealed. It and the next one are not in the
   * manifests of earlier versions.
   */
  notKept?: NotKeptNote[] | null;
  /** Why its partition table cannot be made anew, as a sentence for people; `null`: it can, or it is sealed. */
  volumeObstacle?: string | null;
}

export interface NotKeptNote {
  what: string;
  /** Of files; `null`: of all, or of what holds them. */
  count: number | null;
}

/** What of the disk of an encrypted archive may be read by anybody. */
export const openDisk = (disk: ManifestDisk): ManifestDisk => ({
  ...disk,
  partitionTable: null,
  bootCode: null,
  bootGap: null,
  notKept: null,
  volumeObstacle: null,
});

/** What of an encrypted object may be read by anybody: no more than its own metadata show. */
export const openFacts = (object: ManifestObject): ManifestObject => ({
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

/** How it is known that a device was the snapshot's. */
export interface DeviceProof {
  /** Of its NVMe device; or the name that was asked for and its size, which prove nothing. */
  identifiedBy: 'serial' | 'name';
  /** Blocks that were compared with those of the snapshot, and equal. */
  blocks: number;
  /** Why none was; `null` where some were. */
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
    /** Of all blocks ever written (`FullSnapshotSizeInBytes`); `null` where AWS did not tell, not there in earlier versions. */
    dataBytes?: number | null;
    startTime: string;
    description: string;
    encrypted: boolean;
    kmsKeyId: string | null;
    tags: Record<string, string>;
  };
  source: 'volume' | 'direct';
  /** How the device of the volume was known; `null` for direct reads; not in the manifests of earlier versions. */
  device?: DeviceProof | null;
  layout: Layout;
  /** Of tars, whether journals were replayed before; not in the manifests of earlier versions. */
  replayedJournals?: boolean;
  startedAt: string;
  finishedAt: string;
  disk: ManifestDisk;
  objects: ManifestObject[];
  recorded: RecordedPartition[];
  /** When all of it was compared with the snapshot and nothing differed; `null`: not yet. */
  validatedAt: string | null;
  /** When a comparison with the snapshot last found differences; absent: never. A later proof removes it. */
  differedAt?: string;
  /** The whole manifest, as a gpg message in Base64, where the archive is encrypted; else `null`. */
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

/** Indented, since people read it at a terminal. */
export const encodeManifest = (manifest: Manifest): Buffer => Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);

/**
 * A manifest is input from elsewhere: what readers rely on is checked, the rest is taken as it is.
 * @throws SnapError `MANIFEST`
 */
export function decodeManifest(body: Buffer, key: string, snapshotId: string): Manifest {
  const refuse = (why: string, hint: string): never => {
    throw new SnapError('MANIFEST', `${key}: ${why}`, { hint });
  };
  if (body.length > MAX_BYTES) return refuse(`${body.length} bytes are no manifest`, 'somebody wrote over it');
  const manifest = parse(body);
  if (!manifest) return refuse('this is no manifest', 'somebody wrote over it; the data objects may still be whole');
  if (manifest.format !== MANIFEST_FORMAT) {
    return refuse(`unsupported manifest format ${manifest.format}`, 'use a newer version of snap-to-s3');
  }
  if (manifest.snapshot?.id !== snapshotId)
    refuse(`it describes ${manifest.snapshot?.id}`, 'it was copied here by mistake');
  const objects: unknown = manifest.objects;
  const isOwn = ({ key }: ManifestObject): boolean => parseKey(key)?.snapshotId === snapshotId;
  if (!Array.isArray(objects) || !objects.every((object) => isManifestObject(object) && isOwn(object)))
    refuse('its objects are damaged', 'migrate the snapshot again with --replace');
  if (!isSnapshotNote(manifest.snapshot))
    refuse('what it says of the snapshot is damaged', 'migrate the snapshot again with --replace');
  if (!isDisk(manifest.disk) || !isRecordedList(manifest.recorded ?? []))
    refuse('its description of the disk is damaged', 'migrate the snapshot again with --replace');
  const contradiction = contradictionIn(manifest);
  if (contradiction !== null)
    refuse(contradiction, 'somebody wrote over it; migrate the snapshot again with --replace');
  if (!isTextOrNothing(manifest.sealed))
    refuse('what it keeps sealed is damaged', 'migrate the snapshot again with --replace');
  return manifest;
}

/** A few KiB each object; what is longer was never written by this program. */
const MAX_BYTES = 64 * 2 ** 20;

const isRecord = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

const isSnapshotNote = ({ sizeGiB, dataBytes, description, tags }: Manifest['snapshot']): boolean =>
  isLength(sizeGiB) &&
  isLengthOrNothing(dataBytes) &&
  typeof description === 'string' &&
  isRecord(tags) &&
  Object.values(tags).every((value) => typeof value === 'string');

const isDisk = (disk: ManifestDisk): boolean =>
  isRecord(disk) && isNotKeptList(disk.notKept) && isTextOrNothing(disk.volumeObstacle);

const isRecordedList = (list: unknown): boolean =>
  Array.isArray(list) && list.every((entry) => isRecord(entry) && isPartition(entry.partition));

/** Each part of a disk is held once. A disk may have a table without partitions, but not be nothing at all. */
function contradictionIn({ disk, objects, recorded }: Manifest): string | null {
  const parts = [...objects, ...(recorded ?? [])].map(({ partition }) => partition);
  if (parts.length === 0 && disk.table === 'none') return 'it names no object';
  if (parts.length > 1 && parts.includes(null)) return 'it names the whole disk, and parts of it';
  const twice = parts.find((partition, index) => parts.indexOf(partition) !== index);
  return twice === undefined ? null : `it names partition ${twice} twice`;
}

function parse(body: Buffer): Manifest | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Manifest) : null;
  } catch {
    return null;
  }
}

export const isManifestObject = (object: ManifestObject): boolean =>
  typeof object === 'object' &&
  object !== null &&
  typeof object.key === 'string' &&
  isPartition(object.partition) &&
  (object.layout === 'tar' || object.layout === 'image') &&
  Object.hasOwn(CODECS, object.codec) &&
  (object.cipher === 'none' || object.cipher === 'gpg') &&
  isLength(object.storedBytes) &&
  isLength(object.plainBytes) &&
  isTextOrNothing(object.plainSha256) &&
  isGeometry(object.geometry) &&
  isLengthOrNothing(object.contentBytes) &&
  isLengthOrNothing(object.roomBytes) &&
  isTextOrNothing(object.volumeObstacle) &&
  isNotKeptList(object.notKept) &&
  isIndexNote(object.index) &&
  isChecksum(object.checksum);

const isPartition = (value: unknown): boolean => value === null || (Number.isInteger(value) && (value as number) > 0);

const isLength = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** Earlier versions left fields out that are nothing. */
const isTextOrNothing = (value: unknown): boolean => value === null || value === undefined || typeof value === 'string';

const isLengthOrNothing = (value: unknown): boolean => value === null || value === undefined || isLength(value);

const isNotKeptList = (list: ManifestObject['notKept']): boolean =>
  list === null ||
  list === undefined ||
  (Array.isArray(list) &&
    list.every((entry) => isRecord(entry) && typeof entry.what === 'string' && isLengthOrNothing(entry.count)));

const isGeometry = (geometry: ManifestObject['geometry']): boolean =>
  geometry === null ||
  geometry === undefined ||
  (typeof geometry === 'object' &&
    [geometry.blockBytes, geometry.inodeBytes, geometry.inodes].every(isLengthOrNothing) &&
    Array.isArray(geometry.features) &&
    geometry.features.every((feature) => typeof feature === 'string' && /^[\w=-]{1,40}$/.test(feature)) &&
    (geometry.made === undefined || (isRecord(geometry.made) && Object.values(geometry.made).every(isMadeFact))));

const isMadeFact = (value: unknown): boolean =>
  isLength(value) || (typeof value === 'string' && /^\w[\w-]{0,39}$/.test(value));

const isIndexNote = (index: ManifestObject['index'] | undefined): boolean =>
  index === null || index === undefined || (typeof index === 'object' && typeof index.key === 'string');

const isChecksum = (checksum: ManifestObject['checksum'] | undefined): boolean =>
  checksum === null ||
  checksum === undefined ||
  (typeof checksum === 'object' && [checksum.algorithm, checksum.type, checksum.value].every(isTextOrNothing));
