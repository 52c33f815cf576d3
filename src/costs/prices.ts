/**
 * List prices in US dollars, us-east-1, as published in November 2026; other regions differ by some ten per cent.
 * Sources: the pricing pages of Amazon EBS and Amazon S3.
 */

/** A GB-month of a volume. */
export const VOLUME_GB_MONTH: Record<string, number> = {
  gp3: 0.08,
  gp2: 0.1,
  io1: 0.125,
  io2: 0.125,
  st1: 0.045,
  sc1: 0.015,
  standard: 0.05,
};

/** A GB-month of snapshots in the standard tier. */
export const SNAPSHOT_GB_MONTH = 0.05;

/** By storage class: a GB-month, and a thousand PUT, POST or LIST requests. */
export const S3_CLASS: Record<string, { gbMonth: number; thousandPuts: number }> = {
  STANDARD: { gbMonth: 0.023, thousandPuts: 0.005 },
  INTELLIGENT_TIERING: { gbMonth: 0.023, thousandPuts: 0.005 },
  STANDARD_IA: { gbMonth: 0.0125, thousandPuts: 0.01 },
  ONEZONE_IA: { gbMonth: 0.01, thousandPuts: 0.01 },
  GLACIER_IR: { gbMonth: 0.004, thousandPuts: 0.02 },
  GLACIER: { gbMonth: 0.0036, thousandPuts: 0.03 },
  DEEP_ARCHIVE: { gbMonth: 0.00099, thousandPuts: 0.05 },
};

/**
 * Of the archive classes, by retrieval tier, cheapest first: dollars a GB and a thousand requests, and how long it takes.
 * While it is there, the restored copy costs as much as Standard besides.
 */
export const RETRIEVAL: Record<string, readonly RetrievalTier[]> = {
  GLACIER: [
    { tier: 'Bulk', gb: 0, thousandRequests: 0, takes: '5 to 12 hours' },
    { tier: 'Standard', gb: 0.01, thousandRequests: 0.05, takes: '3 to 5 hours' },
    { tier: 'Expedited', gb: 0.03, thousandRequests: 10, takes: '1 to 5 minutes' },
  ],
  DEEP_ARCHIVE: [
    { tier: 'Bulk', gb: 0.0025, thousandRequests: 0.025, takes: 'up to 48 hours' },
    { tier: 'Standard', gb: 0.02, thousandRequests: 0.1, takes: 'up to 12 hours' },
  ],
  // In its archive tiers, which only the object's head tells; the longer of their times.
  INTELLIGENT_TIERING: [
    { tier: 'Bulk', gb: 0, thousandRequests: 0, takes: 'up to 48 hours' },
    { tier: 'Standard', gb: 0, thousandRequests: 0, takes: 'up to 12 hours' },
  ],
};

export interface RetrievalTier {
  tier: 'Bulk' | 'Standard' | 'Expedited';
  gb: number;
  thousandRequests: number;
  takes: string;
}

/** Parts of objects in the archive classes are requests at Standard's price. */
export const STANDARD_THOUSAND_PUTS = 0.005;

/** EBS direct APIs: a thousand blocks read, and a thousand requests for lists. */
export const DIRECT_READS = { thousandBlocks: 0.003, thousandLists: 0.0006 };

export const HOURS_A_MONTH = 730;
