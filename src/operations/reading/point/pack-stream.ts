/** What is read of a pack, so that it decodes to the blocks that are wanted. */
import { BLOCK_KIND, type BlockTable, HASH_BYTES, newTable } from '../../../archive/block-table.ts';
import type { BlockList, StoredPack } from '../../../archive/points/block-list.ts';
import type { BlockRun } from '../../../lib/bytes/block-run.ts';
import { MiB } from '../../../lib/units.ts';
import type { Extent } from '../../../transfer/download.ts';
import type { ArchivedObject } from '../find-archive.ts';
import type { FoundPoint } from './found-point.ts';
import type { NeededPack } from './needed-packs.ts';
import { recipientsIn } from './open-point.ts';

export interface PackStream {
  /** The ranges of the pack to read; none if no block is wanted. */
  extents: Extent[];
  /** The blocks of the stream, in its order. */
  runs: BlockRun[];
}

/** Maximum stored bytes between two wanted blocks that are read, too, because another request would take longer. */
const MAX_GAP = MiB;

/** An encrypted pack is read as a whole, because it can be decrypted only from its beginning. */
export function packStream({ pack, list, positions }: NeededPack): PackStream {
  const [first] = positions;
  if (first === undefined) return { extents: [], runs: [] };
  if (pack.cipher === 'gpg')
    return { extents: [{ from: 0, to: pack.bytes }], runs: runsOf(list, pack.first, pack.end, new Set(positions)) };
  const wanted = new Set(positions);
  const stream: PackStream = { extents: [], runs: [] };
  let [start, last] = [first, first];
  const add = () => {
    stream.extents.push({ from: list.places[start] ?? 0, to: endOfFrame(pack, list, last) });
    stream.runs.push(...runsOf(list, start, last + 1, wanted));
  };
  for (const position of positions) {
    if ((list.places[position] ?? 0) - endOfFrame(pack, list, last) > MAX_GAP) {
      add();
      start = position;
    }
    last = position;
  }
  add();
  return stream;
}

/** @param position of a block in the list. @returns the byte of the pack at which its frame ends. */
export const endOfFrame = (pack: StoredPack, { places }: BlockList, position: number): number =>
  position + 1 < pack.end ? (places[position + 1] ?? pack.bytes) : pack.bytes;

/** The blocks at the positions from `first` up to, but not including, `end`. */
function runsOf({ indexes }: BlockList, first: number, end: number, wanted: ReadonlySet<number>): BlockRun[] {
  const runs: BlockRun[] = [];
  for (let position = first; position < end; position++) {
    const index = indexes[position] ?? 0;
    const isDropped = !wanted.has(position);
    const last = runs.at(-1);
    if (last?.to === index && last.isDropped === isDropped) last.to = index + 1;
    else runs.push({ from: index, to: index + 1, isFetched: true, isDropped });
  }
  return runs;
}

/** The pack as an object. Its plain bytes are those of its blocks. */
export function packAsObject({ pack, list }: NeededPack, { content }: FoundPoint): ArchivedObject {
  const { key, codec, cipher, bytes: storedBytes, etag, crc32 } = pack;
  const checksum = crc32 === null ? null : ({ algorithm: 'CRC32', type: 'FULL_OBJECT', value: crc32 } as const);
  const common = { key, partition: null, layout: 'image', codec, cipher } as const;
  const facts = {
    ...common,
    compressionLevel: content.point.compressionLevel,
    filesystem: null,
    uuid: null,
    label: null,
    plainBytes: plainBytesOf(pack, list),
    plainSha256: null,
    storedBytes,
    etag,
    versionId: null,
    checksum,
    socketsSkipped: null,
    index: null,
  };
  return { ...common, facts, ...recipientsIn(content.sealed) };
}

/** Only the last block of a disk may be shorter than the others. */
function plainBytesOf({ first, end }: StoredPack, { indexes, bytes, blockBytes }: BlockList): number {
  const missing = Math.max(0, ((indexes[end - 1] ?? 0) + 1) * blockBytes - bytes);
  return (end - first) * blockBytes - missing;
}

/** What each block of the decoded pack must be, also those that the point does not use. */
export function tableOfPack({ pack, list }: NeededPack): BlockTable {
  const table = newTable(plainBytesOf(pack, list), list.blockBytes);
  table.kinds.fill(BLOCK_KIND.data);
  table.hashes.set(list.hashes.subarray(pack.first * HASH_BYTES, pack.end * HASH_BYTES));
  return table;
}
