/** The size of an image or its disk, as far as it is known before the image is read. */
import { BLOCK_KIND, type BlockTable } from '../../archive/block-table.ts';
import { readHeaderValue } from '../../archive/metadata.ts';
import type { ArchiveStore } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { GiB } from '../../lib/units.ts';
import type { Archive, ArchivedObject } from './find-archive.ts';

/** Sizes in bytes; `null` if unknown. */
export interface ImageSize {
  /** The length of the image. */
  plainBytes: number | null;
  /** An upper bound of the number of bytes that are not zero. */
  dataBytes: number | null;
}

interface Reading {
  store: ArchiveStore;
  signal: AbortSignal;
}

/** Takes the size from the index, from the manifest or, for archives of version 0, from the metadata of the object. */
export async function sizeOfImage(
  { manifest }: Archive,
  object: ArchivedObject,
  table: BlockTable | null,
  reading: Reading,
): Promise<ImageSize> {
  const plainBytes = object.facts?.plainBytes ?? (await numberInMetadata(object, 'uncompressed-size', reading));
  if (table) return { plainBytes, dataBytes: dataBytesIn(table) };
  if (plainBytes === null) return { plainBytes, dataBytes: null };
  return { plainBytes, dataBytes: Math.min(plainBytes, manifest?.content.snapshot.dataBytes ?? plainBytes) };
}

/** @returns an upper bound of the number of bytes that are not zero. */
export function dataBytesIn({ kinds, blockBytes, bytes }: BlockTable): number {
  const data = kinds.filter((kind) => kind !== BLOCK_KIND.zero).length * blockBytes;
  return Math.min(data, bytes);
}

/** @returns the size of the whole disk in GiB. @throws SnapError `NOT_FOUND` */
export async function sizeOfDisk({ manifest, point, objects }: Archive, reading: Reading): Promise<number> {
  const content = (manifest ?? point)?.content;
  if (content) return Math.max(content.snapshot.sizeGiB, Math.ceil(content.disk.bytes / GiB));
  const [first] = objects;
  const image = objects.find(({ layout, partition }) => layout === 'image' && partition === null);
  const disk = first ? await numberInMetadata(first, 'snapshot-volumesize', reading) : null;
  const bytes = image ? await numberInMetadata(image, 'uncompressed-size', reading) : null;
  const recorded = Math.max(disk ?? 0, Math.ceil((bytes ?? 0) / GiB));
  if (recorded > 0) return recorded;
  throw new SnapError('NOT_FOUND', 'the archive does not record the size of the disk', {
    hint: 'use --to-file or --to-device',
  });
}

/** @returns `null` if the metadata of the object does not have the number. */
async function numberInMetadata(
  { key }: ArchivedObject,
  name: string,
  { store, signal }: Reading,
): Promise<number | null> {
  const head = await store.head(key, { signal });
  const size = Number(readHeaderValue(head?.metadata[name] ?? ''));
  return Number.isSafeInteger(size) && size > 0 ? size : null;
}
