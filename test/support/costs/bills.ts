/**
 * Writes synthetic billing reports. A month is described once and written in every format and granularity of AWS, with
 * the patterns of real reports: snapshots in blocks of 512 KiB, the storage of a day in the hour before midnight,
 * prices and quantities with ten and more decimals, and unrelated rows between them.
 */
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';

export interface BilledLine {
  id: string;
  region: string;
  account: string;
  currency: string;
  /** The price of a GB-month. */
  rate: number;
  tier: 'standard' | 'archive';
  /** The number of blocks of 512 KiB on a day (from 1 on). `null` means that the snapshot does not exist then. */
  blocks: (day: number) => number | null;
}

export interface BilledMonth {
  /** For example, `2026-09`. */
  month: string;
  snapshots: readonly BilledLine[];
  /** The number of instances and volumes, which are billed by the hour. */
  others: number;
  /** The number of days that the report covers (default: the whole month). */
  until?: number;
}

export type Granularity = 'hourly' | 'daily' | 'monthly';

export type BillFormat = 'legacy' | 'athena' | 'cur2' | 'focus-1.0' | 'focus-1.2';

interface Row {
  resource: string;
  usageType: string;
  operation: string;
  lineType: string;
  amount: number;
  cost: number;
  rate: number;
  start: Date;
  end: Date;
  line: Pick<BilledLine, 'region' | 'account' | 'currency'>;
  description: string;
  unit: string;
}

export const line = (
  id: string,
  blocks: BilledLine['blocks'] | number,
  other: Partial<BilledLine> = {},
): BilledLine => ({
  id,
  region: 'us-west-2',
  account: '123456789012',
  currency: 'USD',
  rate: 0.05,
  tier: 'standard',
  ...other,
  blocks: typeof blocks === 'number' ? () => blocks : blocks,
});

/** Returns `snap-0000000000000002a` for 42. */
export const snapshotId = (number: number): string => `snap-${number.toString(16).padStart(17, '0')}`;

const DAY = 86_400_000;
const HOUR = DAY / 24;

const firstOf = ({ month }: BilledMonth): number => Date.parse(`${month}-01T00:00:00Z`);

const daysOf = (month: BilledMonth): number => {
  const first = new Date(firstOf(month));
  return (Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + 1, 1) - first.getTime()) / DAY;
};

/** Yields rows in the order of time, like most reports. */
function* rowsOf(month: BilledMonth, granularity: Granularity): Generator<Row> {
  const days = daysOf(month);
  const last = Math.min(month.until ?? days, days);
  if (granularity === 'monthly') {
    for (const snapshot of month.snapshots) yield* monthlyRow(month, snapshot, last);
    return;
  }
  for (let day = 1; day <= last; day++) {
    const start = firstOf(month) + (day - 1) * DAY;
    yield* otherRows(month, start, granularity);
    for (const snapshot of month.snapshots) {
      const blocks = snapshot.blocks(day);
      if (blocks === null) continue;
      const from = granularity === 'hourly' ? start + 23 * HOUR : start;
      yield snapshotRow(snapshot, blocks / 2048 / days, from, start + DAY);
    }
  }
}

function* monthlyRow(month: BilledMonth, snapshot: BilledLine, last: number): Generator<Row> {
  let blocks = 0;
  for (let day = 1; day <= last; day++) blocks += snapshot.blocks(day) ?? 0;
  const [first, days] = [firstOf(month), daysOf(month)];
  if (blocks > 0) yield snapshotRow(snapshot, blocks / 2048 / days, first, first + days * DAY);
}

function snapshotRow(snapshot: BilledLine, amount: number, start: number, end: number): Row {
  const { id, region, account, rate, tier } = snapshot;
  const kind = tier === 'standard' ? 'SnapshotUsage' : 'SnapshotArchiveStorage';
  return {
    resource: `arn:aws:ec2:${region}:${account}:snapshot/${id}`,
    usageType: `${region === 'us-east-1' ? '' : 'USW2-'}EBS:${kind}`,
    operation: 'CreateSnapshot',
    lineType: 'Usage',
    amount,
    cost: amount * rate,
    rate,
    start: new Date(start),
    end: new Date(end),
    line: snapshot,
    description: `$${rate} per GB-Month of ${tier === 'archive' ? 'archived ' : ''}snapshot data stored, "${region}"`,
    unit: 'GB-Months',
  };
}

function* otherRows({ others }: BilledMonth, dayStart: number, granularity: Granularity): Generator<Row> {
  const step = granularity === 'hourly' ? HOUR : DAY;
  for (let start = dayStart; start < dayStart + DAY; start += step) {
    for (let number = 0; number < others; number++) yield otherRow(number, start, step);
  }
}

const OTHER_LINE = { region: 'us-west-2', account: '123456789012', currency: 'USD' };

/** Returns one of several unrelated rows. Some of them resemble the storage of a snapshot. */
function otherRow(number: number, start: number, step: number): Row {
  const snapshot = `arn:aws:ec2:us-west-2:123456789012:snapshot/${snapshotId(number)}`;
  const kinds: [string, string, string, string, string][] = [
    [`i-${number.toString(16).padStart(17, '0')}`, 'USW2-BoxUsage:m5.large', 'RunInstances', 'Usage', 'Hrs'],
    [
      `vol-${number.toString(16).padStart(17, '0')}`,
      'USW2-EBS:VolumeUsage.gp3',
      'CreateVolume-Gp3',
      'Usage',
      'GB-Months',
    ],
    [snapshot, 'USW2-EBS:directAPI.snapshot.Get', 'GetSnapshotBlock', 'Usage', 'SnapshotAPIUnits'],
    [snapshot, 'USW2-EBS:SnapshotArchiveRetrieval', 'RestoreSnapshotTier', 'Usage', 'GB'],
    [snapshot, 'USW2-EBS:SnapshotUsage', 'CreateSnapshot', 'Credit', 'GB-Months'],
    ['', 'USW2-DataTransfer-Out-Bytes', 'RunInstances', 'Tax', 'GB'],
  ];
  const [resource, usageType, operation, lineType, unit] = kinds[number % kinds.length] ?? ['', '', '', '', ''];
  return {
    resource,
    usageType,
    operation,
    lineType,
    unit,
    amount: 1 / (number + 3),
    cost: lineType === 'Credit' ? -0.01 : 0.0123456789,
    rate: 0.096,
    start: new Date(start),
    end: new Date(start + step),
    line: OTHER_LINE,
    description: `$0.096 per unit, number ${number}`,
  };
}

/** Parquet stores times and numbers with their types. */
export type Value = string | number | Date | null;
type Column = readonly [name: string, value: (row: Row) => Value];

const iso = (date: Date): string => date.toISOString().replace('.000Z', 'Z');

const period = (row: Row): [Date, Date] => {
  const { start } = row;
  const month = (ahead: number) => new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + ahead, 1));
  return [month(0), month(1)];
};

const CUR_COLUMNS: readonly Column[] = [
  ['identity/LineItemId', ({ resource, start }) => `${resource.length}${start.getTime()}abcdefghijkl`],
  ['identity/TimeInterval', ({ start, end }) => `${iso(start)}/${iso(end)}`],
  ['bill/PayerAccountId', () => '123456789012'],
  ['bill/BillingPeriodStartDate', (row) => period(row)[0]],
  ['bill/BillingPeriodEndDate', (row) => period(row)[1]],
  ['lineItem/UsageAccountId', ({ line: { account } }) => account],
  ['lineItem/LineItemType', ({ lineType }) => lineType],
  ['lineItem/UsageStartDate', ({ start }) => start],
  ['lineItem/UsageEndDate', ({ end }) => end],
  ['lineItem/ProductCode', () => 'AmazonEC2'],
  ['lineItem/UsageType', ({ usageType }) => usageType],
  ['lineItem/Operation', ({ operation }) => operation],
  ['lineItem/ResourceId', ({ resource }) => resource],
  ['lineItem/UsageAmount', ({ amount }) => amount],
  ['lineItem/CurrencyCode', ({ line: { currency } }) => currency],
  ['lineItem/UnblendedRate', ({ rate }) => rate],
  ['lineItem/UnblendedCost', ({ cost }) => cost],
  ['lineItem/LineItemDescription', ({ description }) => description],
  ['product/ProductName', () => 'Amazon Elastic Compute Cloud'],
  ['product/region', ({ line: { region } }) => region],
  ['pricing/unit', ({ unit }) => unit],
  ['resourceTags/user:Name', () => 'several\nlines, "quoted"'],
];

/** Converts `lineItem/UsageType` to `line_item_usage_type`. */
const snake = (name: string): string =>
  name
    .replace(/[/:]/g, '_')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();

const athena = (): Column[] => CUR_COLUMNS.map(([name, value]) => [snake(name), value]);

const cur2 = (): Column[] => [
  ...athena().filter(([name]) => !/^(resource_tags|product)_/.test(name)),
  ['product', () => '{"product_name":"Amazon Elastic Compute Cloud","region":"us-west-2"}'],
  ['product_region_code', ({ line: { region } }) => region],
  ['resource_tags', () => '{"user_name":"web, \\"first\\""}'],
  ['line_item_usage_account_name', () => 'somebody'],
];

const focus = (is12: boolean): Column[] => [
  ['BilledCost', ({ cost }) => cost],
  ['BillingAccountId', () => '123456789012'],
  ['BillingCurrency', ({ line: { currency } }) => currency],
  ['BillingPeriodStart', (row) => period(row)[0]],
  ['BillingPeriodEnd', (row) => period(row)[1]],
  ['ChargeCategory', ({ lineType }) => lineType],
  ['ChargeClass', () => null],
  ['ChargeDescription', ({ description, usageType }) => (/Retrieval/.test(usageType) ? 'retrieval' : description)],
  ['ChargePeriodStart', ({ start }) => start],
  ['ChargePeriodEnd', ({ end }) => end],
  ['ConsumedQuantity', ({ amount }) => amount],
  ['ConsumedUnit', ({ unit }) => unit],
  ['ListUnitPrice', ({ rate }) => rate],
  ['RegionId', ({ line: { region } }) => region],
  ['ResourceId', ({ resource }) => resource],
  ['ServiceName', () => 'Amazon Elastic Compute Cloud'],
  ['SubAccountId', ({ line: { account } }) => account],
  ['Tags', () => '{"application": "web, first"}'],
  ['x_Operation', ({ operation }) => operation],
  ['x_ServiceCode', () => 'AmazonEC2'],
  ...(is12
    ? ([
        ['InvoiceId', () => '42'],
        ['SkuMeter', () => 'EBS'],
        ['ServiceSubcategory', () => 'Block Storage'],
      ] as Column[])
    : ([['x_UsageType', ({ usageType }) => usageType]] as Column[])),
];

const columnsOf = (format: BillFormat): readonly Column[] => {
  if (format === 'legacy') return CUR_COLUMNS;
  if (format === 'athena') return athena();
  return format === 'cur2' ? cur2() : focus(format === 'focus-1.2');
};

const text = (value: Value): string => {
  if (value instanceof Date) return iso(value);
  if (typeof value === 'number') return value.toFixed(13);
  return value ?? '';
};

const quoted = (value: string): string => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

function* csvLines(format: BillFormat, months: readonly BilledMonth[], granularity: Granularity): Generator<string> {
  const columns = columnsOf(format);
  yield columns.map(([name]) => quoted(name)).join(',');
  for (const month of months) {
    for (const row of rowsOf(month, granularity)) yield columns.map(([, value]) => quoted(text(value(row)))).join(',');
  }
}

export const csv = (format: BillFormat, months: readonly BilledMonth[], granularity: Granularity): Buffer =>
  Buffer.from(`${[...csvLines(format, months, granularity)].join('\n')}\n`);

/** @param codec the compression of the pages; AWS uses Snappy. */
export function parquet(format: BillFormat, month: BilledMonth, granularity: Granularity, rowGroupSize = 1000): Buffer {
  const rows = [...rowsOf(month, granularity)];
  const columnData = columnsOf(format).map(([name, value]) => {
    const data = rows.map(value);
    const first = data.find((found) => found !== null);
    const type = first instanceof Date ? 'TIMESTAMP' : typeof first === 'number' ? 'DOUBLE' : 'STRING';
    return { name, data, type, nullable: true } as const;
  });
  return Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize }));
}

/** Writes the report, and compresses it if the suffix of the name says so. */
export function writeBill(path: string, content: Buffer): string {
  writeFileSync(path, path.endsWith('.gz') ? gzipSync(content) : content);
  return path;
}
