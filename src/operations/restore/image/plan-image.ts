/** Plans a restore of an image: which pieces must be fetched, and which segments can be written at the same time. */
import { BLOCK_KIND, type BlockTable, type ImageIndex, isEachBlockKnown } from '../../../archive/block-table.ts';
import type { Place } from '../../../archive/file-index.ts';
import { FRAME_END, FRAME_HEADER } from '../../../archive/lz4-frame.ts';
import type { BlockRun } from '../../../lib/bytes/block-run.ts';
import { MiB } from '../../../lib/units.ts';
import type { Extent } from '../../../transfer/download.ts';
import type { ArchivedObject } from '../../reading/find-archive.ts';

/** The pieces from `first` up to, but not including, `end`. */
export interface PieceRange {
  first: number;
  end: number;
}

/** A piece that contains more than zeros: its blocks from `first` up to, but not including, `end`, and its range of the object. */
export interface PieceWithData {
  first: number;
  end: number;
  from: number;
  to: number;
}

/** The stream of a segment. */
export interface SegmentStream {
  /** The ranges of the object, and literal bytes, that make up the stream. */
  extents: Extent[];
  /** The runs of blocks of the segment, and which of them are in the stream. */
  runs: BlockRun[];
}

/** Minimum plain bytes of a run of zeros that is skipped. Shorter runs are faster to read than to skip by another request. */
const MIN_GAP = 32 * MiB;

/** Minimum plain bytes, without zeros, of a segment. A smaller one is not worth its own decompressor. */
const MIN_SEGMENT = 64 * MiB;

/** A plan exists only if the kind of each block is known; otherwise, blocks that are not fetched could not be verified. */
export class ImagePlan {
  readonly table: BlockTable;
  readonly #pieces: readonly Place[];
  readonly #areBlocks: boolean;

  /** @returns `null` if the whole object must be read. */
  static of({ codec, facts }: ArchivedObject, { table, pieces }: ImageIndex): ImagePlan | null {
    const [first] = pieces;
    if (!facts || !first || first.plain !== 0 || !isEachBlockKnown(table) || facts.plainBytes !== table.bytes)
      return null;
    if (pieces.some(({ plain }) => plain % table.blockBytes !== 0 && plain !== table.bytes)) return null;
    const areBlocks = codec === 'lz4' && first.stored > 0;
    const last = pieces.at(-1) as Place;
    if (last.stored > facts.storedBytes) return null;
    if (last.plain >= table.bytes) return new ImagePlan(table, pieces, areBlocks);
    // The last frame ends at the end of the object.
    const end = { plain: table.bytes, stored: facts.storedBytes };
    return areBlocks ? null : new ImagePlan(table, [...pieces, end], areBlocks);
  }

  private constructor(table: BlockTable, pieces: readonly Place[], areBlocks: boolean) {
    this.table = table;
    this.#pieces = pieces;
    this.#areBlocks = areBlocks;
  }

  /** Whether the pieces are blocks of one lz4 frame, and not frames of their own. */
  get areBlocks(): boolean {
    return this.#areBlocks;
  }

  piecesWithData(): PieceWithData[] {
    const found = [];
    for (let piece = 0; piece < this.whole.end; piece++) {
      if (this.#isZero(piece)) continue;
      const [from, to] = [this.#place(piece).stored, this.#place(piece + 1).stored];
      found.push({ first: this.blockAt(piece), end: this.blockAt(piece + 1), from, to });
    }
    return found;
  }

  get whole(): PieceRange {
    return { first: 0, end: this.#pieces.length - 1 };
  }

  /** The rest of a segment if all blocks before `block` are written. */
  after({ first, end }: PieceRange, block: number): PieceRange {
    let next = first;
    while (next < end && this.blockAt(next + 1) <= block) next++;
    return { first: next, end };
  }

  /** Splits the image into segments with about the same amount of data, in the order of the disk. */
  split(maxSegments: number): PieceRange[] {
    const { end: count } = this.whole;
    const total = this.dataBytes(this.whole);
    const share = Math.max(MIN_SEGMENT, total / maxSegments);
    const segments: PieceRange[] = [];
    let [first, taken] = [0, 0];
    for (let piece = 0; piece < count; piece++) {
      taken += this.#dataBytes(piece);
      if (taken < share * (segments.length + 1) || taken === total) continue;
      segments.push({ first, end: piece + 1 });
      first = piece + 1;
    }
    return [...segments, { first, end: count }];
  }

  /** Plain bytes of the pieces that contain more than zeros. */
  dataBytes({ first, end }: PieceRange): number {
    let bytes = 0;
    for (let piece = first; piece < end; piece++) bytes += this.#dataBytes(piece);
    return bytes;
  }

  /** The index of the first block of a piece, or the number of blocks of the disk. */
  blockAt(piece: number): number {
    const { kinds, blockBytes } = this.table;
    return Math.min(kinds.length, Math.ceil(this.#place(piece).plain / blockBytes));
  }

  /** Returns the parts of a stream that decompresses to the fetched runs, one after another. */
  streamOf(segment: PieceRange): SegmentStream {
    const runs: BlockRun[] = [];
    const extents: Extent[] = [];
    for (const { first, end, isFetched } of this.#runsOf(segment)) {
      runs.push({ from: this.blockAt(first), to: this.blockAt(end), isFetched });
      if (isFetched) extents.push({ from: this.#place(first).stored, to: this.#place(end).stored });
    }
    return { runs, extents: this.#asStream(extents) };
  }

  /** @param extents empty if the segment contains only zeros, or is already written. */
  #asStream(extents: readonly Extent[]): Extent[] {
    return this.#areBlocks && extents.length > 0 ? [FRAME_HEADER, ...extents, FRAME_END] : [...extents];
  }

  #runsOf({ first, end }: PieceRange): (PieceRange & { isFetched: boolean })[] {
    const runs: (PieceRange & { isFetched: boolean })[] = [];
    for (let piece = first; piece < end; ) {
      const next = this.#endOfRun(piece, end);
      const isFetched = !this.#isZero(piece) || this.#place(next).plain - this.#place(piece).plain < MIN_GAP;
      const last = runs.at(-1);
      if (isFetched && last?.isFetched) last.end = next;
      else runs.push({ first: piece, end: next, isFetched });
      piece = next;
    }
    return runs;
  }

  #endOfRun(piece: number, end: number): number {
    const isZero = this.#isZero(piece);
    let next = piece + 1;
    while (next < end && this.#isZero(next) === isZero) next++;
    return next;
  }

  #isZero(piece: number): boolean {
    const kinds = this.table.kinds.subarray(this.blockAt(piece), this.blockAt(piece + 1));
    return kinds.every((kind) => kind === BLOCK_KIND.zero);
  }

  #dataBytes(piece: number): number {
    return this.#isZero(piece) ? 0 : this.#place(piece + 1).plain - this.#place(piece).plain;
  }

  #place(piece: number): Place {
    return this.#pieces[piece] ?? { plain: 0, stored: 0 };
  }
}
