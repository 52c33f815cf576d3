/**
 * What `migrate --incremental` stores of the snapshots of a volume, by the rules that it follows, and what that costs.
 * Sizes are GiB of plain data, unless a name says otherwise.
 */
import { BLOCKS_PER_PAGE } from '../../lib/aws-limits.ts';
import { sum } from '../../lib/sum.ts';
import { GiB, KiB } from '../../lib/units.ts';
import { additions, exactly, type Lineage, type Range } from '../lineage.ts';
import type { ClassPrices, RegionPrices } from '../price-types.ts';
import { readingCost } from '../reading.ts';
import { CHAIN_RULES, type ChainRules, MAX_POINT_GIB } from './chain-rules.ts';
import {
  BLOCKS_PER_GIB,
  type Move,
  type MoveOptions,
  overheadMonthly,
  partsCost,
  partsOf,
  retrievalCost,
  retrievalTakes,
  standardOf,
  writingBackCost,
} from './moves.ts';

/** A snapshot that is to become a point. */
export interface PointSize {
  startedAt: string | null;
  /** The blocks that the previous point does not hold. */
  added: number;
  /** All blocks. */
  full: number;
}

/** What one point stores itself. */
export interface Generation {
  gib: number;
  isBase: boolean;
  /** All blocks of the point, which may be in several generations. */
  full: number;
  /** The base of its chain. */
  base: number;
  /** All generations after the base, up to and including this one. */
  deltas: number;
}

interface Chain {
  base: number;
  startedAt: string | null;
  deltas: number;
  points: number;
}

/** @param points in the order of their start times. */
export function generationsOf(points: readonly PointSize[], rules: ChainRules = CHAIN_RULES): Generation[] {
  let chain: Chain | null = null;
  return points.map(({ startedAt, added, full }) => {
    if (chain === null || needsBase(chain, startedAt, rules)) {
      chain = { base: full, startedAt, deltas: 0, points: 1 };
      return { gib: full, isBase: true, full, base: full, deltas: 0 };
    }
    chain = { ...chain, deltas: chain.deltas + added, points: chain.points + 1 };
    return { gib: added, isBase: false, full, base: chain.base, deltas: chain.deltas };
  });
}

const DAY = 86_400_000;

/** Rounding errors of sums must not exceed a limit. */
const ALMOST = 1 + 1e-9;

function needsBase({ base, startedAt, deltas, points }: Chain, now: string | null, rules: ChainRules): boolean {
  if (rules.baseEvery !== null && points >= rules.baseEvery) return true;
  if (deltas > rules.maxDeltas * base * ALMOST) return true;
  return startedAt !== null && now !== null && Date.parse(now) - Date.parse(startedAt) > rules.maxBaseDays * DAY;
}

/** A point whose sizes may be known only as bounds. */
interface PointBounds {
  startedAt: string | null;
  added: Range;
  full: Range;
}

export interface GenerationBounds {
  min: Generation[];
  max: Generation[];
}

/**
 * What these snapshots of a lineage would store.
 * @returns `null` for a single snapshot, for copies, and for more data than a point can store.
 */
export function generationsIn(
  lineage: Lineage,
  indexes: readonly number[],
  startTimes: readonly (string | null)[],
): GenerationBounds | null {
  const full = indexes.map((index) => lineage.links[index]?.full ?? exactly(0));
  if (indexes.length < 2 || !lineage.isChain || full.some(({ min }) => min > MAX_POINT_GIB)) return null;
  const points = additions(lineage, indexes).map((added, place) => ({
    startedAt: startTimes[indexes[place] ?? 0] ?? null,
    added,
    full: full[place] ?? added,
  }));
  return boundsOf(points);
}

/** If full sizes are not known, it is not known where bases are: the maximum has only bases, and the minimum has one. */
function boundsOf(points: readonly PointBounds[]): GenerationBounds {
  const isKnown = points.every(({ full }) => full.min === full.max);
  const oneBase = { ...CHAIN_RULES, maxDeltas: Number.POSITIVE_INFINITY, maxBaseDays: Number.POSITIVE_INFINITY };
  const at = (which: 'min' | 'max'): PointSize[] =>
    points.map(({ startedAt, added, full }) => ({ startedAt, added: added[which], full: full[which] }));
  return {
    min: generationsOf(at('min'), isKnown ? CHAIN_RULES : oneBase),
    max: generationsOf(at('max'), isKnown ? CHAIN_RULES : { ...CHAIN_RULES, baseEvery: 1 }),
  };
}

/** Bytes in the block list for each stored block, most of which is its SHA-256; measured with lz4. */
const LIST_BYTES = 46;

/** Bytes in the map for each run of blocks of one generation, and the most for each block; measured. */
const RUN_BYTES = 7;
const MAX_MAP_BYTES = 5;

const MANIFEST_BYTES = 16 * KiB;

/** Objects in Standard for each point: the block list, the map and the manifest. */
const SMALL_OBJECTS = 3;

const blocksIn = (gib: number): number => gib * BLOCKS_PER_GIB;

const packsIn = ({ gib }: Generation, { packBlocks }: ChainRules): number => Math.ceil(blocksIn(gib) / packBlocks);

/** An upper bound: each block that changed since the base may begin a run of its own in the map, and end another one. */
function smallBytes({ gib, full, deltas }: Generation): number {
  const map = Math.min(2 * blocksIn(deltas) * RUN_BYTES, blocksIn(full) * MAX_MAP_BYTES);
  return blocksIn(gib) * LIST_BYTES + map + MANIFEST_BYTES;
}

export interface PointsLoad {
  generations: readonly Generation[];
  /** Size of the volume, for the cost of temporary volumes. */
  volumeGiB: number;
  rules?: ChainRules;
}

/** @param of the storage class of the packs. */
export function moveOfPoints(load: PointsLoad, of: ClassPrices, prices: RegionPrices, options: MoveOptions): Move {
  const { generations, rules = CHAIN_RULES } = load;
  const plain = sum(generations.map(({ gib }) => gib));
  const storedGiB = plain / options.compression;
  const packs = sum(generations.map((generation) => packsIn(generation, rules)));
  const small = generations.length * SMALL_OBJECTS * standardOf(prices).thousandPuts;
  const puts = partsCost(partsOf(storedGiB), of, prices) + (packs * of.thousandPuts + small) / 1000;
  const hotGiB = sum(generations.map(smallBytes)) / GiB;
  const full = sum(generations.map((generation) => generation.full));
  const back = writingBackCost(full / options.compression, full, of, prices);
  return {
    storedGiB,
    monthly: storedGiB * of.gbMonth + overheadMonthly(packs, of, prices) + hotGiB * standardOf(prices).gbMonth,
    oneOff: readingOfPoints(load, prices, options) + puts,
    minimumDays: 0,
    restore: { cost: retrievalCost(storedGiB, packs, of, prices) + back, takes: retrievalTakes(of) },
    chain: {
      bases: generations.filter(({ isBase }) => isBase).length,
      packs,
      mostThawedGiB: Math.max(...generations.map(({ base, deltas }) => base + deltas)) / options.compression,
    },
  };
}

/**
 * Through the EBS direct APIs, a run reads the blocks that it stores, and lists all written blocks and those that changed. From
 * volumes, it reads everything.
 */
function readingOfPoints(
  { generations, volumeGiB }: PointsLoad,
  prices: RegionPrices,
  { reading }: MoveOptions,
): number {
  if (reading !== 'direct') {
    const data = generations.map(({ full }) => ({ sizeGiB: volumeGiB, dataBytes: full * GiB }));
    return sum(data.map((one) => readingCost(one, reading.volumeType, prices).volume ?? 0));
  }
  const { thousandReads, thousandLists } = prices.direct;
  const reads = sum(generations.map(({ gib }) => blocksIn(gib)));
  const lists = sum(generations.map(({ gib, full, isBase }) => pagesOf(full) + (isBase ? 0 : pagesOf(gib))));
  return (reads * thousandReads + lists * thousandLists) / 1000;
}

const pagesOf = (gib: number): number => Math.max(1, Math.ceil(blocksIn(gib) / BLOCKS_PER_PAGE));
