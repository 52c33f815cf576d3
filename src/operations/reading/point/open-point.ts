/** Opens a point: its map, the block lists of its generations, and what every block of its disk must be. */
import { crc32 } from 'node:zlib';
import { BLOCK_KIND, type BlockTable, HASH_BYTES, newTable } from '../../../archive/block-table.ts';
import { recipientsOf } from '../../../archive/cipher.ts';
import { type BlockList, decodeBlockList } from '../../../archive/points/block-list.ts';
import { damagedPoint } from '../../../archive/points/damaged-point.ts';
import type { FetchedDocument } from '../../../archive/points/point-document.ts';
import type { PointDocument } from '../../../archive/points/point-manifest.ts';
import { decodeMap, PLACE, type PointMap } from '../../../archive/points/point-map.ts';
import type { ObjectHead } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import { decodeCrc32 } from '../../../lib/bytes/crc32.ts';
import { sleep } from '../../../lib/clock.ts';
import { inParallel } from '../../../lib/parallel.ts';
import { MiB } from '../../../lib/units.ts';
import { downloadWhole } from '../../../transfer/download.ts';
import { decryptIndex } from '../index/decrypt-index.ts';
import type { ReadContext } from '../read-context.ts';
import { failedWith, markFinal, readTwice } from '../read-twice.ts';
import type { FoundPoint } from './found-point.ts';

export interface OpenPoint {
  readonly point: FoundPoint;
  readonly map: PointMap;
  /** The block lists of the generations, in the order of the map. */
  readonly lists: readonly BlockList[];
  /** The content of every block of the disk. Absent blocks count as zeros. */
  readonly table: BlockTable;
}

/** A block list of more stored bytes is large. */
const LARGE = MiB;

/**
 * Maximum number of block lists that are read at the same time. A point may need hundreds of small ones, whose requests take
 * longer than their bytes. Large ones take memory.
 */
const CONCURRENCY = { large: 4, small: 16 };

/**
 * Reads only small objects, which are in the Standard class.
 * @throws SnapError `DIFFERS` if one of them is missing, damaged or was replaced, or if they contradict each other;
 *   `GPG_KEY` if they cannot be decrypted; the errors of a download.
 */
export async function openPoint(point: FoundPoint, context: ReadContext): Promise<OpenPoint> {
  const { snapshot, disk, point: facts } = point.content;
  if (facts.cipher === 'gpg' && context.sessionKey !== null)
    throw new SnapError('GPG_KEY', `${snapshot.id} has an incremental archive, which a session key cannot decrypt`, {
      hint: 'a session key opens only one object: import the private key of a recipient into the keyring or agent',
    });
  const map = await openMap(point, context);
  const lists = await readLists(point, context);
  if (map.bytes !== disk.bytes) throw damagedPoint(facts.map.key, 'it describes a disk of another size');
  return { point, map, lists, table: await tableOf(point, map, lists, context.signal) };
}

/** Reads only the map. @throws SnapError as `openPoint` does. */
export async function openMap(point: FoundPoint, context: ReadContext): Promise<PointMap> {
  const { snapshot, point: facts } = point.content;
  return decodeMap(await fetchDocument(point, facts.map, snapshot.id, context), context.signal);
}

/** @returns the block lists in the order of the generations. */
async function readLists(point: FoundPoint, context: ReadContext): Promise<BlockList[]> {
  const lists: BlockList[] = [];
  const bySize = Map.groupBy(point.content.point.generations.entries(), ([, { blocks }]) =>
    blocks.bytes > LARGE ? 'large' : 'small',
  );
  for (const [size, notes] of bySize) {
    await inParallel(notes, CONCURRENCY[size], context.signal, async ([at, note], signal) => {
      const document = await fetchDocument(point, note.blocks, note.snapshot, { ...context, signal });
      lists[at] = await decodeBlockList(document, signal);
    });
  }
  return lists;
}

/** @param described the snapshot that the document must describe. @returns the decrypted document. */
async function fetchDocument(
  point: FoundPoint,
  document: PointDocument,
  described: string,
  context: ReadContext,
): Promise<FetchedDocument> {
  return { body: await bodyOf(point, document, context), key: document.key, snapshot: described };
}

/** The length that no map and no block list reaches. */
const MAX_BYTES = 2 ** 30;

async function bodyOf({ content }: FoundPoint, document: PointDocument, context: ReadContext): Promise<Buffer> {
  const { store, host, signal } = context;
  const { key, bytes } = document;
  const { snapshot, point, sealed } = content;
  const head = await store.head(key, { signal });
  if (!isAsStored(head, document))
    throw damagedPoint(key, head ? 'it is not the object that the manifest names' : 'it is not in the bucket');
  if (bytes > MAX_BYTES) throw damagedPoint(key, 'it is larger than any valid one');
  const known = head.crc32 === null ? null : decodeCrc32(head.crc32);
  const fetchOnce = async () => {
    const body = await download(document, context);
    if (known !== null && crc32(body) !== known) throw damagedPoint(key, 'its bytes do not match their CRC-32');
    if (point.cipher === 'none') return body;
    const recipients = recipientsIn(sealed);
    const object = {
      key,
      partition: null,
      layout: 'image',
      codec: point.codec,
      cipher: point.cipher,
      facts: null,
    } as const;
    return decryptIndex({ ...object, ...recipients }, key, { body, isIntact: known !== null }, signal).catch(
      (error) => {
        throw known === null ? error : markFinal(error);
      },
    );
  };
  return readTwice({ snapshot: snapshot.id, key }, host, fetchOnce, failedWith('DIFFERS'));
}

/** Whether the bucket has exactly the object that was stored. @param head `null` if there is no object. */
export const isAsStored = (
  head: ObjectHead | null,
  { etag, bytes }: Pick<PointDocument, 'etag' | 'bytes'>,
): head is ObjectHead => head?.etag === etag && head.bytes === bytes;

/** @param sealed the sealed part of a manifest. */
export const recipientsIn = (sealed: string | null): { recipients?: readonly string[] } =>
  sealed === null ? {} : { recipients: recipientsOf(Buffer.from(sealed, 'base64')) };

const download = ({ key, etag, bytes }: PointDocument, { store, streams, signal }: ReadContext): Promise<Buffer> =>
  downloadWhole(store.reader(key, etag), bytes, { bucket: store.bucket, streams, signal });

/** Blocks to look up before yielding to other tasks, such as the renewal of claims. */
const BLOCKS_PER_TURN = 2 ** 16;

/**
 * @throws SnapError `DIFFERS` if the map, the lists and the manifest contradict each other; the reason of the signal.
 */
async function tableOf(
  { content }: FoundPoint,
  map: PointMap,
  lists: readonly BlockList[],
  signal: AbortSignal,
): Promise<BlockTable> {
  const { map: document, generations } = content.point;
  const contradiction = (why: string) => damagedPoint(document.key, why);
  if (map.generations.join() !== generations.map(({ snapshot }) => snapshot).join())
    throw contradiction('its generations are not those of the manifest');
  const table = newTable(map.bytes, map.blockBytes);
  table.kinds.fill(BLOCK_KIND.zero);
  let known = 0;
  for (const [generation, list] of lists.entries()) {
    if (list.blockBytes !== map.blockBytes) throw contradiction('its blocks have another size than those of its packs');
    const found = await addBlocks(table, map.places, PLACE.first + generation, list, signal);
    if (found !== generations[generation]?.used)
      throw contradiction(`it uses ${found} blocks of ${list.snapshot}, which is another number than in the manifest`);
    known += found;
  }
  if (known !== countData(map.places)) throw contradiction('it uses a block that is not in the list of its generation');
  return table;
}

/** @returns the number of blocks in the list that the map attributes to it. */
async function addBlocks(
  table: BlockTable,
  places: Uint16Array,
  place: number,
  { indexes, hashes }: BlockList,
  signal: AbortSignal,
): Promise<number> {
  let found = 0;
  for (let at = 0; at < indexes.length; at++) {
    if (at % BLOCKS_PER_TURN === 0) await sleep(0, signal);
    const index = indexes[at] ?? 0;
    if (places[index] !== place) continue;
    table.kinds[index] = BLOCK_KIND.data;
    table.hashes.set(hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES), index * HASH_BYTES);
    found++;
  }
  return found;
}

function countData(places: Uint16Array): number {
  let count = 0;
  for (let index = 0; index < places.length; index++) if ((places[index] ?? 0) >= PLACE.first) count++;
  return count;
}
