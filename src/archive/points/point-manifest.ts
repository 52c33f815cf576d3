/** The manifest of a point, which is the archive of one snapshot in the incremental layout. */
import type { LockMode, ObjectLock } from '../../cloud/object-lock.ts';
import { SnapError } from '../../errors.ts';
import { CODECS, type CodecName } from '../codec.ts';
import { type ExpiryMark, isExpiryOrNothing } from '../expiry/mark.ts';
import { type Cipher, parseGenerationKey } from '../key.ts';
import { isLockDate, isLockMode } from '../lock-note.ts';
import { type Manifest, publicDisk } from '../manifest.ts';
import { isValidationOrNothing, type PointValidation } from './point-validation.ts';

/** The format of the manifest, the map and the block list of a point. */
export const POINT_FORMAT = 2;

/** A small object of a point. */
export interface PointDocument {
  key: string;
  etag: string;
  /** Length of the object in bytes. */
  bytes: number;
}

/** A generation that holds blocks of the point. */
export interface GenerationNote {
  /** The snapshot that the generation belongs to. */
  snapshot: string;
  blocks: PointDocument;
  /** Number of its blocks that the point uses. */
  used: number;
}

/** What all points since a base have in common. */
export interface ChainFacts {
  /** Bytes of the packs of the base, and of all packs since. */
  baseBytes: number;
  deltaBytes: number;
  /** The lock of all packs, block lists and maps of the chain; absent if there is none. */
  lockedUntil?: string | null;
  lockMode?: LockMode | null;
}

/** @returns `null` if the objects of the chain are not locked. */
export const chainLock = ({ lockedUntil, lockMode }: ChainFacts): ObjectLock | null =>
  lockedUntil && lockMode ? { mode: lockMode, until: new Date(lockedUntil) } : null;

export interface PointFacts {
  /**
   * How the stored blocks were chosen: all (`base`), those that EBS reports as changed since the parent
   * (`changed-blocks`), or those with other hashes than in the parent (`hashes`).
   */
  how: 'base' | 'changed-blocks' | 'hashes';
  /** Why the point is a base or was compared by hashes; `null` if EBS reported the changed blocks. */
  reason: string | null;
  /** The snapshot of the point whose map this one continues; `null` for a base. */
  parent: string | null;
  /** The snapshot of the base, which is the oldest generation of the chain; the snapshot itself for a base. */
  base: string;
  /** When the snapshot of the base was started, as in its key. */
  baseTime: string;
  /** Number of points since the base: 0 for a base. */
  depth: number;
  codec: CodecName;
  compressionLevel: number;
  cipher: Cipher;
  /** Storage class of the packs. */
  storageClass: string;
  /** Blocks and bytes that the point itself stores, in how many packs, and their list; `null` if it stores none. */
  own: { blocks: number; packs: number; storedBytes: number; list: PointDocument | null };
  chain: ChainFacts;
  map: PointDocument;
  /** The generations of the map, in its order. */
  generations: readonly GenerationNote[];
}

export interface PointManifest
  extends Pick<
    Manifest,
    'tool' | 'snapshot' | 'source' | 'device' | 'startedAt' | 'finishedAt' | 'disk' | 'validatedAt' | 'sealed'
  > {
  format: typeof POINT_FORMAT;
  layout: 'image';
  point: PointFacts;
  /** When a comparison with the snapshot last found differences. A later successful validation removes it. */
  differedAt?: string;
  /** What the last successful validation compared. Absent if there was none; manifests of earlier versions lack it. */
  validation?: PointValidation;
  /** Absent unless `expire` is going to remove the point, or has removed it. */
  expiry?: ExpiryMark;
}

/** The part of the manifest of an encrypted point that stays readable. @param tags those that objects can carry */
export const publicPoint = (manifest: PointManifest, tags: Record<string, string>, sealed: string): PointManifest => ({
  ...manifest,
  snapshot: { ...manifest.snapshot, tags },
  disk: publicDisk(manifest.disk),
  sealed,
});

/** Indented for people who read it in a terminal. */
export const encodePointManifest = (manifest: PointManifest): Buffer =>
  Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);

/**
 * Checks the manifest of a point, which is untrusted input.
 * @param value the parsed document, whose format is `POINT_FORMAT`.
 * @throws SnapError `MANIFEST`
 */
export function checkPointManifest(value: unknown, key: string, snapshotId: string): PointManifest {
  const manifest = value as PointManifest;
  const refuse = (why: string): never => {
    throw new SnapError('MANIFEST', `${key}: ${why}`, {
      hint: 'the manifest was overwritten and the packs may still be intact: put the original one back',
    });
  };
  const { snapshot, disk, point } = manifest;
  if (snapshot?.id !== snapshotId) refuse(`it describes ${snapshot?.id}`);
  if (!isLength(snapshot.sizeGiB) || typeof snapshot.tags !== 'object' || typeof snapshot.startTime !== 'string')
    refuse('its description of the snapshot is damaged');
  if (!isLength(disk?.bytes)) refuse('its description of the disk is damaged');
  if (!isPoint(point)) refuse('its description of the point is damaged');
  if (manifest.sealed !== null && typeof manifest.sealed !== 'string') refuse('its sealed content is damaged');
  if (!isValidationOrNothing(manifest.validation)) refuse('its record of a validation is damaged');
  if (!isExpiryOrNothing(manifest.expiry)) refuse('its mark of expiry is damaged');
  return manifest;
}

const isLength = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

const isPoint = (point: PointFacts | undefined): boolean =>
  typeof point === 'object' &&
  point !== null &&
  ['base', 'changed-blocks', 'hashes'].includes(point.how) &&
  (point.parent === null || typeof point.parent === 'string') &&
  typeof point.base === 'string' &&
  !Number.isNaN(Date.parse(point.baseTime)) &&
  isLength(point.depth) &&
  Object.hasOwn(CODECS, point.codec) &&
  (point.cipher === 'none' || point.cipher === 'gpg') &&
  isLength(point.compressionLevel) &&
  typeof point.storageClass === 'string' &&
  [point.own?.blocks, point.own?.packs, point.own?.storedBytes].every(isLength) &&
  (point.own.list === null || isDocument(point.own.list, 'blocks')) &&
  isChain(point.chain) &&
  isDocument(point.map, 'map') &&
  Array.isArray(point.generations) &&
  point.generations.every(isGeneration);

const isChain = (chain: ChainFacts | null | undefined): boolean =>
  [chain?.baseBytes, chain?.deltaBytes].every(isLength) && isChainLock(chain?.lockedUntil, chain?.lockMode);

const isChainLock = (until: unknown, mode: unknown): boolean =>
  (until ?? mode ?? null) === null || (isLockDate(until) && isLockMode(mode));

const isGeneration = (note: GenerationNote | null): boolean =>
  note !== null &&
  typeof note === 'object' &&
  typeof note.snapshot === 'string' &&
  isDocument(note.blocks, 'blocks') &&
  parseGenerationKey(note.blocks.key)?.snapshotId === note.snapshot &&
  isLength(note.used);

const isDocument = (document: PointDocument | null | undefined, what: 'map' | 'blocks'): boolean =>
  typeof document === 'object' &&
  document !== null &&
  typeof document.key === 'string' &&
  parseGenerationKey(document.key)?.what === what &&
  typeof document.etag === 'string' &&
  isLength(document.bytes);
