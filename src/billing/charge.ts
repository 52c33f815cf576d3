/**
 * Classifies a row of a report: a charge for the storage of an EBS snapshot, another charge for EBS snapshots, or a charge
 * of another service. The service and the usage type (FOCUS 1.2: SkuMeter) or the resource decide, never words such as
 * "snapshot" alone, because Lightsail, ElastiCache, Redshift and RDS bill snapshots of their own.
 * Sources: "EBS usage types in AWS billing reports" of the EBS user guide; "Line item columns" and "FOCUS 1.2 with AWS
 * columns" of the Data Exports user guide.
 */
import { ANY_SNAPSHOT_ID } from '../lib/aws-names.ts';
import { type CellOf, textOf } from './cell.ts';
import type { ColumnLayout } from './columns.ts';

export type Charge =
  | { is: 'storage'; tier: 'standard' | 'archive' }
  /** A charge for EBS snapshots other than storage, e.g. `EBS:SnapshotArchiveRetrieval`. */
  | { is: 'other'; what: string }
  /** A charge that may be for the storage of an EBS snapshot. */
  | { is: 'unclear'; why: string };

/** @returns `null` if the row is not a charge for an EBS snapshot. */
export function chargeOf(cell: CellOf, layout: ColumnLayout): Charge | null {
  const isEbs = isOfEbs(cell);
  const meter = textOf(cell('usageType')) || textOf(cell('meter'));
  const [, usage] = /(?:^|-)EBS:(.*)$/.exec(meter) ?? [];
  const found = usage === undefined ? byResource(cell, layout, meter, isEbs) : byUsage(usage);
  if (isEbs !== false || found === null) return found;
  // A charge of another service is unclear only if its usage type is one of EBS.
  return usage === undefined ? null : { is: 'unclear', why: `${serviceOf(cell)} bills ${meter}` };
}

const STORAGE: Readonly<Record<string, 'standard' | 'archive'>> = {
  SnapshotUsage: 'standard',
  SnapshotArchiveStorage: 'archive',
};

const OTHERS = /^(SnapshotArchive(Retrieval|EarlyDelete)|directAPI\.snapshot\.\w+|FastSnapshotRestore)$/;

/** @param usage the part of the usage type after `EBS:`. */
function byUsage(usage: string): Charge | null {
  const tier = STORAGE[usage];
  if (tier !== undefined) return { is: 'storage', tier };
  if (OTHERS.test(usage)) return { is: 'other', what: `EBS:${usage}` };
  return /snapshot/i.test(usage) ? { is: 'unclear', why: `unknown usage type EBS:${usage}` } : null;
}

const SNAPSHOT = new RegExp(`^(arn:aws[a-z-]*:ec2:[^:]*:\\d*:snapshot/)?${ANY_SNAPSHOT_ID}$`);

/** Classifies rows that have no usage type, or one that is not of EBS. */
function byResource(cell: CellOf, layout: ColumnLayout, meter: string, isEbs: boolean | null): Charge | null {
  const resource = textOf(cell('resource'));
  if (SNAPSHOT.test(resource)) return ofSnapshot(cell, layout, meter);
  if (layout.places.usageType !== undefined || resource !== '' || isEbs === false) return null;
  const description = textOf(cell('description'));
  if (!/snapshot/i.test(`${meter} ${description}`) || !isByMonth(cell)) return null;
  // Within EC2, storage that is billed by the month is that of volumes or snapshots.
  return isEbs ? storage(`${meter} ${description}`) : { is: 'unclear', why: 'no column names the service' };
}

function ofSnapshot(cell: CellOf, { places }: ColumnLayout, meter: string): Charge {
  if (places.usageType !== undefined) {
    if (/-Bytes$/.test(meter)) return { is: 'other', what: meter };
    return { is: 'unclear', why: `unknown usage type ${JSON.stringify(meter.slice(0, 60))}` };
  }
  const unit = textOf(cell('unit'));
  if (places.unit !== undefined && !isByMonth(cell)) return { is: 'other', what: `by ${unit || 'no unit'}` };
  return storage(`${meter} ${textOf(cell('description'))}`);
}

const isByMonth = (cell: CellOf): boolean => /^GB-?Mo/i.test(textOf(cell('unit')));

const storage = (text: string): Charge => ({ is: 'storage', tier: /archive/i.test(text) ? 'archive' : 'standard' });

const serviceOf = (cell: CellOf): string => textOf(cell('service')) || textOf(cell('serviceName'));

/** @returns `null` if no column names the service. */
function isOfEbs(cell: CellOf): boolean | null {
  const code = textOf(cell('service'));
  if (code !== '') return /^Amazon(EC2|EBS)$/i.test(code);
  const name = textOf(cell('serviceName'));
  return name === '' ? null : /Elastic (Compute Cloud|Block Stor)|^EC2\b|^EBS\b/i.test(name);
}
