/** A disk in an archive whose blocks can be read one by one, because it is known where each of them is. */
import { BLOCK_KIND, type BlockTable, HASH_BYTES, hashAt } from '../../../archive/block-table.ts';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import type { ObjectHead } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import { type BlockPlaces, emptyPlaces, type FrameObject } from '../../../fuse/block-places.ts';
import { inParallel } from '../../../lib/parallel.ts';
import { MiB } from '../../../lib/units.ts';
import { lengthOf } from '../../../transfer/download.ts';
import type { ArchivedObject } from '../../reading/find-archive.ts';
import { imageIndexOf } from '../../reading/index/image-index.ts';
import { assertHeadMatches } from '../../reading/object/object-findings.ts';
import { type NeededPack, neededPacks } from '../../reading/point/needed-packs.ts';
import { openPoint } from '../../reading/point/open-point.ts';
import { endOfFrame, packAsObject, packStream } from '../../reading/point/pack-stream.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { ImagePlan, type PieceWithData } from '../image/plan-image.ts';
import type { PointArchive } from '../point/plan-point.ts';

export interface ArchivedDisk {
  snapshotId: string;
  /** The image, or the manifest of the point. */
  key: string;
  /** The partition that the image holds; `null` for a whole disk. */
  partition: number | null;
  /** Size of the disk in bytes. */
  bytes: number;
  places: BlockPlaces;
  /** The objects that hold the blocks. Which of them the files need is known only when they are read. */
  objects: readonly HoldingObject[];
}

export interface HoldingObject {
  object: ArchivedObject;
  /** The snapshot that the object was stored for. */
  snapshotId: string;
  /** Stored bytes of all blocks that may be read, and their plain bytes. */
  fetchBytes: number;
  plainBytes: number;
}

/** A disk whose objects were found in the bucket. */
export interface FoundDisk extends ArchivedDisk {
  /** In the order of the objects. */
  heads: readonly ObjectHead[];
}

/** Maximum number of objects that are looked up at the same time. */
const CONCURRENCY = 16;

/** Blocks are read from the objects that are found now. @throws SnapError `DIFFERS` if one is missing or another one. */
export async function findObjects(disk: ArchivedDisk, { store, signal }: ReadContext): Promise<FoundDisk> {
  const heads: ObjectHead[] = [];
  await inParallel([...disk.objects.entries()], CONCURRENCY, signal, async ([at, found], working) => {
    const head = await store.head(found.object.key, { signal: working });
    assertHeadMatches(head, found.object, found.snapshotId);
    heads[at] = head;
  });
  const objects = disk.places.objects.map((object, at) => ({ ...object, etag: heads[at]?.etag ?? '' }));
  return { ...disk, heads, places: { ...disk.places, objects } };
}

/** @throws SnapError `NOT_FOUND` if its blocks cannot be read one by one; `DIFFERS` and the errors of a download. */
export async function diskOfImage(
  object: ArchivedObject,
  snapshotId: string,
  check: ReadContext,
): Promise<ArchivedDisk> {
  const { key, partition, codec, cipher, facts } = object;
  if (cipher === 'gpg') throw notInParts(key, 'it is encrypted, and can be decrypted only from its beginning');
  const index = await imageIndexOf(object, snapshotId, check);
  const plan = index && ImagePlan.of(object, index);
  if (!plan || !facts) throw notInParts(key, 'it has no index that describes every block');
  const { table, areBlocks } = plan;
  const pieces = plan.piecesWithData();
  const places = placesIn(key, table, [{ key, etag: facts.etag, codec, areBlocks }], pieces.length);
  for (const [frame, piece] of pieces.entries()) addFrame(places, frame, 0, piece);
  const [fetchBytes, plainBytes] = [lengthOf(pieces), table.bytes];
  const objects = [{ object, snapshotId, fetchBytes, plainBytes }];
  return { snapshotId, key, partition, bytes: table.bytes, places: complete(key, places), objects };
}

/** Frames are decoded in memory, several at a time. Those that this program writes have 4 MiB. */
const MAX_FRAME_BLOCKS = (16 * MiB) / BLOCK_BYTES;
const MAX_FRAME_BYTES = 17 * MiB;

/** @throws SnapError `NOT_FOUND` if its blocks cannot be read one by one; the errors of `openPoint`. */
export async function diskOfPoint({ snapshotId, point }: PointArchive, check: ReadContext): Promise<ArchivedDisk> {
  const { key, content } = point;
  if (content.point.cipher === 'gpg') throw notInParts(key, ENCRYPTED_PACK);
  const opened = await openPoint(point, check);
  const { table } = opened;
  const packs = neededPacks(opened);
  if (packs.some(({ pack }) => pack.cipher === 'gpg')) throw notInParts(key, ENCRYPTED_PACK);
  const objects = packs.map((needed): HoldingObject => {
    const plainBytes = needed.positions.length * table.blockBytes;
    const fetchBytes = lengthOf(packStream(needed).extents);
    return { object: packAsObject(needed, point), snapshotId: needed.list.snapshot, fetchBytes, plainBytes };
  });
  const stored = packs.map(({ pack }) => ({ key: pack.key, etag: pack.etag, codec: pack.codec, areBlocks: false }));
  const frames = packs.reduce((sum, { positions }) => sum + positions.length, 0);
  const places = placesIn(key, table, stored, frames);
  addPacks(places, packs);
  return { snapshotId, key, partition: null, bytes: table.bytes, places: complete(key, places), objects };
}

const ENCRYPTED_PACK = 'its packs are encrypted, and can be decrypted only from their beginning';

function addPacks(places: BlockPlaces, packs: readonly NeededPack[]): void {
  let frame = 0;
  for (const [object, { pack, list, positions }] of packs.entries()) {
    for (const position of positions) {
      const first = list.indexes[position] ?? 0;
      const from = list.places[position] ?? 0;
      addFrame(places, frame++, object, { first, end: first + 1, from, to: endOfFrame(pack, list, position) });
    }
  }
}

const notInParts = (key: string, why: string): SnapError =>
  new SnapError('NOT_FOUND', `files cannot be read out of ${key}: ${why}`, {
    hint: 'restore the image with --to-file, and mount it',
  });

/** @throws SnapError `NOT_FOUND` for blocks of another size. */
function placesIn(key: string, table: BlockTable, objects: readonly FrameObject[], frames: number): BlockPlaces {
  if (table.blockBytes !== BLOCK_BYTES) throw notInParts(key, `its blocks have ${table.blockBytes} bytes`);
  let blocks = 0;
  for (const kind of table.kinds) if (kind === BLOCK_KIND.data) blocks++;
  const places = emptyPlaces({ objects, blocks, frames });
  let at = 0;
  for (let index = table.kinds.indexOf(BLOCK_KIND.data); index >= 0; ) {
    places.indexes[at] = index;
    places.hashes.set(hashAt(table, index), at * HASH_BYTES);
    at++;
    index = table.kinds.indexOf(BLOCK_KIND.data, index + 1);
  }
  return places;
}

function addFrame({ frames }: BlockPlaces, frame: number, object: number, piece: PieceWithData): void {
  frames.from[frame] = piece.from;
  frames.to[frame] = piece.to;
  frames.object[frame] = object;
  frames.first[frame] = piece.first;
  frames.blocks[frame] = piece.end - piece.first;
}

/** Finds the frame of each block. Frames do not overlap. @throws SnapError `NOT_FOUND` if a frame is too large. */
function complete(key: string, places: BlockPlaces): BlockPlaces {
  const { indexes, frameOf, frames } = places;
  const isLarge = (frame: number) =>
    (frames.blocks[frame] ?? 0) > MAX_FRAME_BLOCKS ||
    (frames.to[frame] ?? 0) - (frames.from[frame] ?? 0) > MAX_FRAME_BYTES;
  if (frames.from.keys().some(isLarge)) throw notInParts(key, 'a part that can be decompressed by itself is too large');
  const order = [...frames.first.keys()].sort((one, other) => (frames.first[one] ?? 0) - (frames.first[other] ?? 0));
  let at = 0;
  for (const frame of order) {
    const first = frames.first[frame] ?? 0;
    const end = first + (frames.blocks[frame] ?? 0);
    for (; at < indexes.length && (indexes[at] ?? 0) < end; at++) {
      if ((indexes[at] ?? 0) < first) throw new SnapError('BUG', `block ${indexes[at]} is in no frame`);
      frameOf[at] = frame;
    }
  }
  if (at < indexes.length) throw new SnapError('BUG', `block ${indexes[at]} is in no frame`);
  return places;
}
