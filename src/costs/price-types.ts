/** Price types. Amounts are in the currency of the prices; a GB is 2^30 bytes, as AWS bills it. */

export interface Prices {
  /** The main source; `RegionPrices.sources` has the source of each group of prices. */
  source: 'built-in' | 'price-list' | 'file' | 'report';
  /** The day of the prices, `YYYY-MM-DD`. */
  asOf: string;
  note: string;
  regions: Readonly<Record<string, RegionPrices>>;
}

/** Groups of prices that share a source. */
export type PriceGroup = 'snapshot' | 'archive' | 'direct' | 'volumes' | 's3' | 'retrieval';

/**
 * `list`: from a price list or a bill of AWS. `transcribed`: copied from AWS pages by a third party some years ago.
 * `estimated`: derived from the prices of a similar region. `other-region`: the prices of us-east-1.
 */
export type PriceSource = 'list' | 'transcribed' | 'estimated' | 'other-region' | 'price-list' | 'file' | 'report';

export interface RegionPrices {
  region: string;
  currency: string;
  snapshot: SnapshotPrices;
  direct: { thousandLists: number; thousandReads: number; thousandWrites: number };
  /** Price per GB-month, by volume type, e.g. `gp3`. */
  volumes: Readonly<Record<string, number>>;
  /** The prices of each storage class. */
  s3: Readonly<Record<string, ClassPrices>>;
  sources: Readonly<Record<PriceGroup, PriceSource>>;
}

export interface SnapshotPrices {
  /** Price per GB-month in the standard tier. */
  gbMonth: number;
  /** Price per GB-month in the archive tier. */
  archiveGbMonth: number;
  archiveRetrievalGb: number;
}

export interface ClassPrices {
  gbMonth: number;
  thousandPuts: number;
  thousandGets: number;
  /** Price per GB of reading; for archive classes, see `retrieval`. */
  readGb: number;
  /** Retrieval tiers of an archive class, cheapest first; empty for other classes. */
  retrieval: readonly RetrievalTier[];
}

export interface RetrievalTier {
  tier: 'Bulk' | 'Standard' | 'Expedited';
  gb: number;
  thousandRequests: number;
  takes: string;
}
