/** Decodes manifests. They are untrusted input, so the fields that readers rely on are checked. */
import { SnapError } from '../errors.ts';
import { CODECS } from './codec.ts';
import { isExpiryOrNothing } from './expiry/mark.ts';
import { parseKey } from './key.ts';
import { isLockNoteOrNothing } from './lock-note.ts';
import { MANIFEST_FORMAT, type Manifest, type ManifestDisk, type ManifestObject } from './manifest.ts';
import { checkPointManifest, POINT_FORMAT, type PointManifest } from './points/point-manifest.ts';

/** @throws SnapError `MANIFEST`, also for the manifest of a point. */
export function decodeManifest(body: Buffer, key: string, snapshotId: string): Manifest {
  const manifest = decodeAnyManifest(body, key, snapshotId);
  if (manifest.format === MANIFEST_FORMAT) return manifest;
  throw new SnapError('MANIFEST', `${key}: it is the manifest of an incremental archive`, {
    hint: 'restore and validate read incremental archives, and list shows them',
  });
}

/** Decodes the manifest of an archive or of a point. @throws SnapError `MANIFEST` */
export function decodeAnyManifest(body: Buffer, key: string, snapshotId: string): Manifest | PointManifest {
  const refuse = (why: string, hint: string): never => {
    throw new SnapError('MANIFEST', `${key}: ${why}`, { hint });
  };
  if (body.length > MAX_MANIFEST_BYTES) return refuse(`${body.length} bytes are too long for a manifest`, OVERWRITTEN);
  const manifest = parse(body);
  if (!manifest) return refuse('it is not a manifest', OVERWRITTEN);
  if (manifest.format === POINT_FORMAT) {
    const point = checkPointManifest(manifest, key, snapshotId);
    if (!isSnapshotNote(point.snapshot) || !isDisk(point.disk))
      return refuse('its description of the snapshot or of the disk is damaged', OVERWRITTEN);
    return point;
  }
  if (manifest.format !== MANIFEST_FORMAT)
    return refuse(`unsupported manifest format ${(manifest as Manifest).format}`, 'use a newer version of snap-to-s3');
  checkManifest(manifest, snapshotId, refuse);
  return manifest;
}

function checkManifest(manifest: Manifest, snapshotId: string, refuse: (why: string, hint: string) => never): void {
  if (manifest.snapshot?.id !== snapshotId)
    refuse(
      `it describes ${manifest.snapshot?.id}`,
      'the manifest of another archive was probably copied here: put the original one back',
    );
  const objects: unknown = manifest.objects;
  const isOwn = ({ key }: ManifestObject): boolean => parseKey(key)?.snapshotId === snapshotId;
  if (!Array.isArray(objects) || !objects.every((object) => isManifestObject(object) && isOwn(object)))
    refuse('its list of objects is damaged', 'migrate the snapshot again with --replace');
  if (!isSnapshotNote(manifest.snapshot))
    refuse('its description of the snapshot is damaged', 'migrate the snapshot again with --replace');
  if (!isDisk(manifest.disk) || !isRecordedList(manifest.recorded ?? []))
    refuse('its description of the disk is damaged', 'migrate the snapshot again with --replace');
  const contradiction = contradictionIn(manifest);
  if (contradiction !== null) refuse(contradiction, 'it was overwritten; migrate the snapshot again with --replace');
  if (!isLockNoteOrNothing(manifest.lock))
    refuse('its description of the lock is damaged', 'migrate the snapshot again with --replace');
  if (!isTextOrNothing(manifest.sealed))
    refuse('its sealed content is damaged', 'migrate the snapshot again with --replace');
  if (!isExpiryOrNothing(manifest.expiry)) refuse('its mark of expiry is damaged', OVERWRITTEN);
}

/** The program writes a few KiB per object. */
const MAX_MANIFEST_BYTES = 64 * 2 ** 20;

const OVERWRITTEN =
  'the manifest was overwritten and the data objects may still be intact: put the original one back, or migrate the snapshot again with --replace';

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
  Array.isArray(list) &&
  list.every((entry) => isRecord(entry) && isPartition(entry.partition) && isGeometry(entry.geometry));

/**
 * No part of a disk may be listed twice. A disk may have a table without partitions, but it must have objects or a
 * table.
 */
function contradictionIn({ disk, objects, recorded }: Manifest): string | null {
  const parts = [...objects, ...(recorded ?? [])].map(({ partition }) => partition);
  if (parts.length === 0 && disk.table === 'none') return 'it lists no objects';
  if (parts.length > 1 && parts.includes(null)) return 'it lists the whole disk as well as partitions';
  const twice = parts.find((partition, index) => parts.indexOf(partition) !== index);
  return twice === undefined ? null : `it lists partition ${twice} twice`;
}

function parse(body: Buffer): Manifest | PointManifest | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Manifest | PointManifest) : null;
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

/** Earlier versions omitted empty fields. */
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
