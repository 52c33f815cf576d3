/**
 * The products of the price list. It has three regions, whose prices differ from those of all real regions, so that
 * tests detect whether they were used. It also has other products whose names end in the same way.
 */

export interface Product {
  sku: string;
  serviceCode: string;
  family: string;
  attributes: Readonly<Record<string, string>>;
  unit: string;
  /** The price of a unit in dollars, from a number of units on. */
  tiers: readonly { from: number; dollars: number }[];
}

interface Line {
  service: string;
  family: string;
  usage: string;
  operation?: string;
  unit: string;
  dollars: number;
  /** The price from 50 TB on. */
  later?: number;
}

const EC2 = 'AmazonEC2';
const S3 = 'AmazonS3';
const DEEP = 'AmazonS3GlacierDeepArchive';

export const SERVICES: ReadonlySet<string> = new Set([EC2, S3, DEEP]);

/** Prefixes of usage types do not follow from the names of regions. Source: "Understanding your AWS billing" of S3. */
const REGIONS: { code: string; prefix: string; factor: number }[] = [
  { code: 'us-east-1', prefix: '', factor: 1.1 },
  { code: 'eu-west-1', prefix: 'EU-', factor: 1.2 },
  { code: 'ap-southeast-2', prefix: 'APS2-', factor: 1.3 },
];

const ebs = (family: string, usage: string, unit: string, dollars: number): Line => ({
  ...{ service: EC2, family, usage: `EBS:${usage}`, unit, dollars },
});

const stored = (usage: string, dollars: number, later = dollars): Line => ({
  ...{ service: S3, family: 'Storage', usage: `TimedStorage-${usage}`, unit: 'GB-Mo', dollars, later },
});

const request = (usage: string, dollars: number, operation = ''): Line => ({
  ...{ service: S3, family: 'API Request', usage: `Requests-${usage}`, operation, unit: 'Requests', dollars },
});

const read = (usage: string, operation: string, dollars: number, service = S3): Line => ({
  ...{ service, family: 'Fee', usage, operation, unit: 'GB', dollars },
});

const LINES: Line[] = [
  ebs('Storage Snapshot', 'SnapshotUsage', 'GB-Mo', 0.05),
  ebs('Storage Snapshot', 'SnapshotUsage.outposts', 'GB-Mo', 9),
  ebs('Storage Snapshot', 'SnapshotUsageUnderBilling', 'GB-Mo', 9),
  ebs('Storage Snapshot', 'SnapshotArchiveStorage', 'GB-Mo', 0.0125),
  ebs('Storage Snapshot', 'SnapshotArchiveRetrieval', 'GB', 0.03),
  ebs('Storage Snapshot', 'SnapshotArchiveEarlyDelete', 'GB-Mo', 9),
  ebs('EBS direct API Requests', 'directAPI.snapshot.List', 'SnapshotAPIUnits', 0.0000006),
  ebs('EBS direct API Requests', 'directAPI.snapshot.Get', 'SnapshotAPIUnits', 0.000003),
  ebs('EBS direct API Requests', 'directAPI.snapshot.Put', 'SnapshotAPIUnits', 0.000006),
  ebs('Storage', 'VolumeUsage', 'GB-Mo', 0.05),
  ebs('Storage', 'VolumeUsage.gp2', 'GB-Mo', 0.1),
  ebs('Storage', 'VolumeUsage.gp3', 'GB-Mo', 0.08),
  ebs('Storage', 'VolumeUsage.piops', 'GB-Mo', 0.125),
  ebs('Storage', 'VolumeUsage.st1', 'GB-Mo', 0.045),
  stored('ByteHrs', 0.023, 0.022),
  { ...stored('ByteHrs', 9), usage: 'Tables-TimedStorage-ByteHrs' },
  stored('SIA-ByteHrs', 0.0125),
  stored('ZIA-ByteHrs', 0.01),
  stored('GIR-ByteHrs', 0.004),
  stored('GlacierByteHrs', 0.0036),
  stored('GlacierStaging', 9),
  stored('INT-FA-ByteHrs', 0.023, 0.022),
  stored('GDA-Staging', 0.021),
  { ...stored('GDA-ByteHrs', 0.00099), service: DEEP },
  request('Tier1', 0.000005),
  request('Tier2', 0.0000004),
  request('SIA-Tier1', 0.00001),
  request('SIA-Tier2', 0.000001),
  request('GIR-Tier1', 0.00002),
  request('GIR-Tier2', 0.00001),
  request('GLACIER-Tier1', 0.00003, 'PutObject'),
  request('Tier3', 0.00005, 'RestoreObject'),
  request('Tier3', 9, 'S3-GlacierTransition'),
  { ...request('GDA-Tier1', 0.00005, 'PutObject'), service: DEEP },
  read('Retrieval-SIA', '', 0.01),
  read('Retrieval-GIR', '', 0.03),
  read('Standard-Retrieval-Bytes', 'RestoreObject', 0.01),
  read('Standard-Retrieval-Bytes', 'DeepArchiveRestoreObject', 0.02),
  read('Bulk-Retrieval-Bytes', 'DeepArchiveRestoreObject', 0.0025),
];

export const PRODUCTS: readonly Product[] = REGIONS.flatMap(({ code, prefix, factor }, region) =>
  LINES.map(({ service, family, usage, operation = '', unit, dollars, later = dollars }, index) => ({
    sku: `LAB${region}${String(index).padStart(12, '0')}`,
    serviceCode: service,
    family,
    attributes: {
      servicecode: service,
      regionCode: code,
      locationType: 'AWS Region',
      usagetype: prefix + usage,
      operation,
    },
    unit,
    tiers:
      later === dollars
        ? [{ from: 0, dollars: dollars * factor }]
        : [
            { from: 51_200, dollars: later * factor },
            { from: 0, dollars: dollars * factor },
          ].sort((a, b) => a.from - b.from),
  })),
);
