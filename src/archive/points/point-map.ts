/**
 * The map of a point: where each block of its disk is. It is flat: a block is in one generation, whichever points came
 * between, so that a restore replays nothing.
 */
import { SnapError } from '../../errors.ts';
import { sleep } from '../../lib/clock.ts';
import { blockCount } from '../block-table.ts';
import { JsonLinesWriter } from '../json-lines.ts';
import { type DocumentHeader, type FetchedDocument, type LineReader, readPointDocument } from './point-document.ts';
import { POINT_FORMAT } from './point-manifest.ts';

/** Values in `PointMap.places`; generations follow from `first` on. */
export const PLACE = { absent: 0, zero: 1, first: 2 } as const;

export interface PointMap {
  /** Size of the disk in bytes. */
  bytes: number;
  blockBytes: number;
  /** The snapshots of the generations that the blocks are in. */
  generations: readonly string[];
  /**
   * A value per block: `PLACE.absent` if it was never written, `PLACE.zero` if it is zeros, otherwise `PLACE.first` plus the
   * position of its generation.
   */
  places: Uint16Array;
}

export const MAX_GENERATIONS = 2 ** 16 - PLACE.first;

/** @throws Error for a size that no volume has. */
export const newPlaces = (bytes: number, blockBytes: number): Uint16Array =>
  new Uint16Array(blockCount(bytes, blockBytes));

/** With so many lines, a map can still be read. */
const MAX_RUNS = 20_000_000;

const tooFragmented = (snapshot: string): SnapError =>
  new SnapError('UPLOAD_FAILED', `the blocks of ${snapshot} are spread too widely for a map`, {
    hint: 'archive the snapshot with --dd instead of --incremental',
  });

/** Runs to write before yielding to other tasks, such as the renewal of claims. */
const RUNS_PER_TURN = 4096;

/** @param snapshot the snapshot of the point. @returns the map as it is stored, before encryption. */
export async function encodeMap(
  { bytes, blockBytes, generations, places }: PointMap,
  snapshot: string,
): Promise<Buffer> {
  const lines = new JsonLinesWriter();
  lines.add({ format: POINT_FORMAT, layout: 'map', snapshot, bytes, blockBytes, generations });
  let runs = 0;
  for (let from = 0; from < places.length; ) {
    if (++runs % RUNS_PER_TURN === 0) await sleep(0);
    if (runs > MAX_RUNS) throw tooFragmented(snapshot);
    const place = places[from] ?? PLACE.absent;
    let to = from + 1;
    while (places[to] === place) to++;
    lines.add({ blocks: [from, to], ...describe(place) });
    from = to;
  }
  lines.add({ end: { blocks: places.length } });
  return lines.finish();
}

const describe = (place: number): object => {
  if (place === PLACE.absent) return { is: 'absent' };
  return place === PLACE.zero ? { is: 'zero' } : { in: place - PLACE.first };
};

interface Line extends DocumentHeader {
  generations?: string[];
  blocks?: [number, number];
  is?: string;
  in?: number;
  end?: { blocks: number };
}

/** @throws SnapError `DIFFERS`; the reason of the signal. */
export const decodeMap = (document: FetchedDocument, signal: AbortSignal): Promise<PointMap> =>
  readPointDocument(document, 'map', signal, (header: Line) => new MapReader(header));

class MapReader implements LineReader<Line, PointMap> {
  readonly #map: PointMap;
  #next = 0;
  #isEnded = false;

  constructor(header: Line) {
    this.#map = emptyMap(header);
  }

  take(line: Line): void {
    const { places, generations } = this.#map;
    if (this.#isEnded || line.format !== undefined) throw new Error('a line at the wrong place');
    this.#isEnded = line.end?.blocks === places.length;
    if (!line.blocks) return;
    const [from, to] = line.blocks;
    if (from !== this.#next || !(to > from) || to > places.length) throw new Error('blocks out of order');
    places.fill(placeOf(line, generations.length), from, to);
    this.#next = to;
  }

  finish(): PointMap {
    if (!this.#isEnded || this.#next !== this.#map.places.length) throw new Error('the end is missing');
    return this.#map;
  }
}

function emptyMap({ bytes = 0, blockBytes = 0, generations }: Line): PointMap {
  const isList = Array.isArray(generations) && generations.every((id) => typeof id === 'string');
  if (!isList || generations.length > MAX_GENERATIONS) throw new Error('an invalid list of generations');
  return { bytes, blockBytes, generations, places: newPlaces(bytes, blockBytes) };
}

function placeOf({ is, in: generation }: Line, generations: number): number {
  if (is === 'absent') return PLACE.absent;
  if (is === 'zero') return PLACE.zero;
  if (generation === undefined || !Number.isInteger(generation) || generation < 0 || generation >= generations)
    throw new Error('an unknown generation');
  return PLACE.first + generation;
}
