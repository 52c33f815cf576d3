/** Converts the AWS Price List to prices: assigns usage types to prices. */
import type { ListedPrice } from '../cloud/ports.ts';
import { overridden, type RegionOverrides } from './overrides.ts';
import type { Prices } from './price-types.ts';
import { pricesIn } from './prices.ts';

type Put = (overrides: Overrides, dollars: number) => void;

interface Overrides extends Required<Pick<RegionOverrides, 'snapshot' | 'direct' | 'volumes' | 's3'>> {}

const snapshot =
  (name: 'gbMonth' | 'archiveGbMonth' | 'archiveRetrievalGb'): Put =>
  (overrides, dollars) => {
    overrides.snapshot[name] = dollars;
  };

/** The price list has prices per request; this program uses prices per thousand requests. */
const thousand = (dollars: number): number => Number((dollars * 1000).toPrecision(10));

const direct =
  (name: 'thousandLists' | 'thousandReads' | 'thousandWrites'): Put =>
  (overrides, dollars) => {
    overrides.direct[name] = thousand(dollars);
  };

const volume =
  (type: string): Put =>
  (overrides, dollars) => {
    overrides.volumes[type] = dollars;
  };

const ofClass = (overrides: Overrides, name: string) => {
  overrides.s3[name] ??= {};
  return overrides.s3[name];
};

const stored =
  (...classes: string[]): Put =>
  (overrides, dollars) => {
    for (const name of classes) ofClass(overrides, name).gbMonth = dollars;
  };

const requests =
  (which: 'thousandPuts' | 'thousandGets', ...classes: string[]): Put =>
  (overrides, dollars) => {
    for (const name of classes) ofClass(overrides, name)[which] = thousand(dollars);
  };

const reading =
  (name: string): Put =>
  (overrides, dollars) => {
    ofClass(overrides, name).readGb = dollars;
  };

const retrieval =
  (name: string, tier: 'Bulk' | 'Standard' | 'Expedited'): Put =>
  (overrides, dollars) => {
    const found = ofClass(overrides, name);
    found.retrieval = { ...found.retrieval, [tier]: { gb: dollars } };
  };

const READ_AS_STANDARD = ['STANDARD', 'INTELLIGENT_TIERING', 'GLACIER', 'DEEP_ARCHIVE'];

/**
 * The keys are the service and the usage type without the prefix of the region, and the operation if a usage type has several.
 * Source: "Understanding your AWS billing and usage reports for Amazon S3", "EBS billing and usage reports".
 */
const MEANINGS: Record<string, Put> = {
  'AmazonEC2 EBS:SnapshotUsage': snapshot('gbMonth'),
  'AmazonEC2 EBS:SnapshotArchiveStorage': snapshot('archiveGbMonth'),
  'AmazonEC2 EBS:SnapshotArchiveRetrieval': snapshot('archiveRetrievalGb'),
  'AmazonEC2 EBS:directAPI.snapshot.List': direct('thousandLists'),
  'AmazonEC2 EBS:directAPI.snapshot.Get': direct('thousandReads'),
  'AmazonEC2 EBS:directAPI.snapshot.Put': direct('thousandWrites'),
  'AmazonEC2 EBS:VolumeUsage': volume('standard'),
  'AmazonEC2 EBS:VolumeUsage.gp2': volume('gp2'),
  'AmazonEC2 EBS:VolumeUsage.gp3': volume('gp3'),
  'AmazonEC2 EBS:VolumeUsage.piops': volume('io1'),
  'AmazonEC2 EBS:VolumeUsage.io2': volume('io2'),
  'AmazonEC2 EBS:VolumeUsage.st1': volume('st1'),
  'AmazonEC2 EBS:VolumeUsage.sc1': volume('sc1'),
  'AmazonS3 TimedStorage-ByteHrs': stored('STANDARD'),
  'AmazonS3 TimedStorage-INT-FA-ByteHrs': stored('INTELLIGENT_TIERING'),
  'AmazonS3 TimedStorage-SIA-ByteHrs': stored('STANDARD_IA'),
  'AmazonS3 TimedStorage-ZIA-ByteHrs': stored('ONEZONE_IA'),
  'AmazonS3 TimedStorage-GIR-ByteHrs': stored('GLACIER_IR'),
  'AmazonS3 TimedStorage-GlacierByteHrs': stored('GLACIER'),
  'AmazonS3GlacierDeepArchive TimedStorage-GDA-ByteHrs': stored('DEEP_ARCHIVE'),
  'AmazonS3 Requests-Tier1': requests('thousandPuts', 'STANDARD', 'INTELLIGENT_TIERING'),
  'AmazonS3 Requests-Tier2': requests('thousandGets', ...READ_AS_STANDARD),
  'AmazonS3 Requests-SIA-Tier1': requests('thousandPuts', 'STANDARD_IA'),
  'AmazonS3 Requests-SIA-Tier2': requests('thousandGets', 'STANDARD_IA'),
  'AmazonS3 Requests-ZIA-Tier1': requests('thousandPuts', 'ONEZONE_IA'),
  'AmazonS3 Requests-ZIA-Tier2': requests('thousandGets', 'ONEZONE_IA'),
  'AmazonS3 Requests-GIR-Tier1': requests('thousandPuts', 'GLACIER_IR'),
  'AmazonS3 Requests-GIR-Tier2': requests('thousandGets', 'GLACIER_IR'),
  'AmazonS3 Requests-GLACIER-Tier1 PutObject': requests('thousandPuts', 'GLACIER'),
  'AmazonS3GlacierDeepArchive Requests-GDA-Tier1 PutObject': requests('thousandPuts', 'DEEP_ARCHIVE'),
  'AmazonS3 Requests-GDA-Tier1 PutObject': requests('thousandPuts', 'DEEP_ARCHIVE'),
  'AmazonS3 Retrieval-SIA': reading('STANDARD_IA'),
  'AmazonS3 Retrieval-ZIA': reading('ONEZONE_IA'),
  'AmazonS3 Retrieval-GIR': reading('GLACIER_IR'),
  'AmazonS3 Standard-Retrieval-Bytes RestoreObject': retrieval('GLACIER', 'Standard'),
  'AmazonS3 Expedited-Retrieval-Bytes RestoreObject': retrieval('GLACIER', 'Expedited'),
  'AmazonS3 Standard-Retrieval-Bytes DeepArchiveRestoreObject': retrieval('DEEP_ARCHIVE', 'Standard'),
  'AmazonS3 Bulk-Retrieval-Bytes DeepArchiveRestoreObject': retrieval('DEEP_ARCHIVE', 'Bulk'),
};

/**
 * The prefix of the region, such as `EUW2-` or `EU-`; us-east-1 has none. Only capital letters match, so `Tables-` in
 * `Tables-TimedStorage-ByteHrs` is not a prefix.
 */
const PREFIX = /^[A-Z]{2,4}\d{0,2}-(?=EBS:|TimedStorage-|Requests-|[A-Z][a-z]+-)/;

/** @returns the prices that the list contains. */
function fromPriceList(listed: readonly ListedPrice[]): RegionOverrides {
  const overrides: Overrides = { snapshot: {}, direct: {}, volumes: {}, s3: {} };
  for (const { service, usageType, operation, dollars } of listed) {
    const usage = `${service} ${usageType.replace(PREFIX, '')}`;
    const put = MEANINGS[`${usage} ${operation}`.trim()] ?? MEANINGS[usage];
    put?.(overrides, dollars);
  }
  return withoutEmpty(overrides);
}

function withoutEmpty(overrides: Overrides): RegionOverrides {
  const filled = Object.entries(overrides).filter(([, group]) => Object.keys(group as object).length > 0);
  return Object.fromEntries(filled) as RegionOverrides;
}

/** @param day the day on which the price list was read. */
export function refreshedPrices(
  listed: ReadonlyMap<string, readonly ListedPrice[]>,
  day: string,
  base: Prices,
): Prices {
  const regions = [...listed].flatMap(([region, prices]) =>
    prices.length === 0
      ? []
      : [[region, overridden(pricesIn(region, base), fromPriceList(prices), 'price-list')] as const],
  );
  const names = regions.map(([region]) => region).join(', ');
  const rest = `other prices: ${base.note}`;
  return {
    source: 'price-list',
    asOf: day,
    note:
      names === ''
        ? `the Price List API returned no prices; ${rest}`
        : `Price List API as of ${day} for ${names}; ${rest}`,
    regions: { ...base.regions, ...Object.fromEntries(regions) },
  };
}
