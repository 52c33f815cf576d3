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

/** Parts of objects in the archive classes are requests at Standard's price. */
export const STANDARD_THOUSAND_PUTS = 0.005;

export const HOURS_A_MONTH = 730;
