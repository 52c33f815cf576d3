/**
 * Where the blocks of an archived disk are stored: in frames, each of which can be decoded by itself, of one or several
 * objects. The program passes them to the process that serves the disk in files, because they may be too many for a pipe.
 */
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HASH_BYTES } from '../archive/block-table.ts';
import type { CodecName } from '../archive/codec.ts';
import { writeWhole } from '../lib/bytes/write-whole.ts';

/** An object with frames. */
export interface FrameObject {
  key: string;
  etag: string;
  codec: CodecName;
  /** Whether the frames are blocks of one lz4 frame, without headers of their own. */
  areBlocks: boolean;
}

export interface BlockPlaces {
  objects: readonly FrameObject[];
  /** The blocks of data, in ascending order. All others are zeros. */
  indexes: Uint32Array;
  /** Their SHA-256, `HASH_BYTES` each. */
  hashes: Uint8Array;
  /** The frame of each of them. */
  frameOf: Uint32Array;
  frames: FrameTable;
}

/** A column per fact about the frames. */
export interface FrameTable {
  /** The range of the object, in bytes: from, and up to but not including. */
  from: Float64Array;
  to: Float64Array;
  /** The position of the object in the list of objects. */
  object: Uint32Array;
  /** The first block of the frame, and the number of its blocks. */
  first: Uint32Array;
  blocks: Uint32Array;
}

/** The names of the files in their directory. */
const [FACTS, COLUMNS] = ['places.json', 'places'];

interface Facts {
  objects: readonly FrameObject[];
  blocks: number;
  frames: number;
}

export const emptyPlaces = ({ objects, blocks, frames }: Facts): BlockPlaces => ({
  objects,
  indexes: new Uint32Array(blocks),
  hashes: new Uint8Array(blocks * HASH_BYTES),
  frameOf: new Uint32Array(blocks),
  frames: {
    from: new Float64Array(frames),
    to: new Float64Array(frames),
    object: new Uint32Array(frames),
    first: new Uint32Array(frames),
    blocks: new Uint32Array(frames),
  },
});

const columnsOf = ({ indexes, hashes, frameOf, frames }: BlockPlaces): Uint8Array[] =>
  [indexes, hashes, frameOf, frames.from, frames.to, frames.object, frames.first, frames.blocks].map(
    ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength),
  );

/** Longer arrays are written and read in parts, because a call takes at most 2 GiB. */
const CHUNK_BYTES = 2 ** 26;

function* chunksOf(places: BlockPlaces): Generator<Uint8Array> {
  for (const column of columnsOf(places))
    for (let at = 0; at < column.length; at += CHUNK_BYTES) yield column.subarray(at, at + CHUNK_BYTES);
}

/** @param directory exists, and has no such files yet. */
export function writePlaces(directory: string, places: BlockPlaces): void {
  const facts: Facts = { objects: places.objects, blocks: places.indexes.length, frames: places.frames.from.length };
  writeFileSync(join(directory, FACTS), JSON.stringify(facts), { mode: 0o600 });
  const descriptor = openSync(join(directory, COLUMNS), 'wx', 0o600);
  try {
    for (const chunk of chunksOf(places)) writeWhole(descriptor, chunk);
  } finally {
    closeSync(descriptor);
  }
}

/** @throws Error if the files are not those that `writePlaces` has written. */
export function readPlaces(directory: string): BlockPlaces {
  const places = emptyPlaces(JSON.parse(readFileSync(join(directory, FACTS), 'utf8')) as Facts);
  const descriptor = openSync(join(directory, COLUMNS), 'r');
  try {
    for (const chunk of chunksOf(places)) readWhole(descriptor, chunk);
  } finally {
    closeSync(descriptor);
  }
  return places;
}

function readWhole(descriptor: number, bytes: Uint8Array): void {
  for (let filled = 0; filled < bytes.length; ) {
    const count = readSync(descriptor, bytes, filled, bytes.length - filled, null);
    if (count === 0) throw new Error('the places of the blocks are incomplete');
    filled += count;
  }
}

/** @returns the position of a block in the list of blocks of data; -1 for a block of zeros. */
export function positionOf(indexes: Uint32Array, index: number): number {
  let [from, to] = [0, indexes.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((indexes[middle] ?? 0) < index) from = middle + 1;
    else to = middle;
  }
  return indexes[from] === index ? from : -1;
}
