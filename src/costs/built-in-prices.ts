/** The built-in prices: those of the table, and those that are derived from it. */
import { SOURCE_DAY, TABLE, type TableRow } from './price-table.ts';
import type { ClassPrices, PriceGroup, PriceSource, Prices, RegionPrices, RetrievalTier } from './price-types.ts';

/** Prices of volume types in us-east-1. Other regions have the same ratios to gp2. */
const VOLUMES = { gp3: 0.08, gp2: 0.1, io1: 0.125, io2: 0.125, st1: 0.045, sc1: 0.015, standard: 0.05 };

/** The built-in prices; docs/costs/prices.md describes their sources. */
export const BUILT_IN: Prices = {
  source: 'built-in',
  asOf: SOURCE_DAY,
  note: `built-in list prices as of ${SOURCE_DAY}, without discounts, taxes and free tiers`,
  regions: Object.fromEntries(TABLE.map((row) => [row.region, fromRow(row)])),
};

function fromRow(row: TableRow): RegionPrices {
  const snapshotRatio = row.snapshot / 0.05;
  const volumeRatio = row.gp2 === null ? snapshotRatio : row.gp2 / VOLUMES.gp2;
  return {
    region: row.region,
    currency: 'USD',
    snapshot: {
      gbMonth: row.snapshot,
      archiveGbMonth: tidy(row.snapshot / 4),
      archiveRetrievalGb: tidy(0.03 * snapshotRatio),
    },
    direct: {
      thousandLists: tidy(0.0006 * snapshotRatio),
      thousandReads: tidy(0.003 * snapshotRatio),
      thousandWrites: tidy(0.006 * snapshotRatio),
    },
    volumes: Object.fromEntries(Object.entries(VOLUMES).map(([type, price]) => [type, tidy(price * volumeRatio)])),
    s3: classesOf(row),
    sources: sourcesOf(row),
  };
}

function classesOf(row: TableRow): Record<string, ClassPrices> {
  const standard = { gbMonth: row.standard, thousandPuts: row.puts, thousandGets: row.gets, readGb: 0, retrieval: [] };
  const infrequent = { thousandPuts: 0.01, thousandGets: 0.001, readGb: 0.01, retrieval: [] };
  const archived = { thousandGets: row.gets, readGb: 0 };
  return {
    STANDARD: standard,
    INTELLIGENT_TIERING: standard,
    STANDARD_IA: { ...infrequent, gbMonth: row.standardIa },
    ONEZONE_IA: { ...infrequent, gbMonth: row.oneZoneIa },
    GLACIER_IR: { gbMonth: row.glacierIr, thousandPuts: 0.02, thousandGets: 0.01, readGb: 0.03, retrieval: [] },
    GLACIER: {
      ...archived,
      gbMonth: row.glacier,
      thousandPuts: row.glacierPuts,
      retrieval: glacierRetrieval(row.glacierRead),
    },
    DEEP_ARCHIVE: {
      ...archived,
      gbMonth: row.deepArchive,
      thousandPuts: row.deepArchivePuts,
      retrieval: deepRetrieval(row.deepArchiveRead),
    },
  };
}

/** @param standard price per GB of the Standard tier. The other tiers have the same ratios to it as in us-east-1. */
function glacierRetrieval(standard: number): RetrievalTier[] {
  return [
    { tier: 'Bulk', gb: 0, thousandRequests: 0, takes: '5 to 12 hours' },
    { tier: 'Standard', gb: standard, thousandRequests: tidy(5 * standard), takes: '3 to 5 hours' },
    { tier: 'Expedited', gb: tidy(3 * standard), thousandRequests: tidy(1000 * standard), takes: '1 to 5 minutes' },
  ];
}

function deepRetrieval(standard: number): RetrievalTier[] {
  return [
    { tier: 'Bulk', gb: tidy(standard / 8), thousandRequests: tidy(1.25 * standard), takes: 'up to 48 hours' },
    { tier: 'Standard', gb: standard, thousandRequests: tidy(5 * standard), takes: 'up to 12 hours' },
  ];
}

function sourcesOf({ region, seen, gp2 }: TableRow): Record<PriceGroup, PriceSource> {
  const isKnown = ['us-east-1', 'us-west-2'].includes(region);
  return {
    snapshot: seen.snapshot,
    archive: seen.archive,
    direct: isKnown ? 'list' : 'estimated',
    volumes: isKnown ? 'list' : gp2 === null ? 'estimated' : 'transcribed',
    s3: 'list',
    retrieval: isKnown ? 'list' : 'estimated',
  };
}

/** Removes the rounding errors of binary fractions from products of prices. */
function tidy(value: number): number {
  return Number(value.toPrecision(10));
}
