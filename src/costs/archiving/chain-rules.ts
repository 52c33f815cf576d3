/** The rules by which incremental archives are written. `migrate` follows them, and the cost model computes with them. */

export interface ChainRules {
  /** A chain gets a new base when the points since its base have stored more than this many times the bytes of the base. */
  maxDeltas: number;
  /** A chain gets a new base when its base is older than this number of days. */
  maxBaseDays: number;
  /** Number of points of a chain, its base included; `null` if it is not limited. */
  baseEvery: number | null;
  /** Blocks of a pack: 256 MiB, so that a pack is a unit worth thawing, and few requests are needed. */
  packBlocks: number;
}

export const CHAIN_RULES = { maxDeltas: 2, maxBaseDays: 365, baseEvery: null, packBlocks: 512 } as const;

/** The most data that a point can store, in GiB: lists of blocks are held in memory. */
export const MAX_POINT_GIB = 4096;
