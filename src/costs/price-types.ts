/** What prices are, whoever says them. Money is of the currency of the prices; a GB is 2^30 bytes, as AWS bills it. */

export interface Prices {
  /** Where they come from; `estimated` and the like are told of each group of each region in `sources`. */
  source: 'built-in' | 'price-list' | 'file' | 'report';
  /** The day that they are of, `YYYY-MM-DD`. */
  asOf: string;
  note: string;
  regions: Readonly<Record<string, RegionPrices>>;
}

/** Prices that are known, or not, together. */
export type PriceGroup = 'snapshot' | 'archive' | 'direct' | 'volumes' | 's3' | 'retrieval';

/**
 * `list`: seen in a price list or a bill of AWS. `transcribed`: as others copied it from AWS's pages some years ago.
 * `estimated`: from what is known, by the ratio of a region alike. `other-region`: that of us-east-1.
 */
export type PriceSource = 'list' | 'transcribed' | 'estimated' | 'other-region' | 'price-list' | 'file' | 'report';

export interface RegionPrices {
  region: string;
  currency: string;
  snapshot: SnapshotPrices;
  direct: { thousandLists: number; thousandReads: number; thousandWrites: number };
  /** A GB-month, by type, e.g. `gp3`. */
  volumes: Readonly<Record<string, number>>;
  /** By storage class. */
  s3: Readonly<Record<string, ClassPrices>>;
  sources: Readonly<Record<PriceGroup, PriceSource>>;
}

export interface SnapshotPrices {
  /** A GB-month in the standard tier, and in the archive tier. */
  gbMonth: number;
  archiveGbMonth: number;
  archiveRetrievalGb: number;
}

export interface ClassPrices {
  gbMonth: number;
  thousandPuts: number;
  thousandGets: number;
  /** Reading one GB; for the archive classes see `retrieval`. */
  readGb: number;
  /** Ways to get objects out of an archive class, cheapest first; empty for classes that can be read as they are. */
  retrieval: readonly RetrievalTier[];
}

export interface RetrievalTier {
  tier: 'Bulk' | 'Standard' | 'Expedited';
  gb: number;
  thousandRequests: number;
  takes: string;
}
