/**
 * The document that `analyze --json` prints and that the page shows: the costs of snapshots, the costs of each choice, and
 * the best choice. Sizes are in GiB, which AWS bills as GB. Amounts are per month and in the currency of the region, unless
 * a field says otherwise. Days are `YYYY-MM-DD` in UTC; times are ISO 8601.
 */

export interface Analysis {
  format: 1;
  tool: { name: string; version: string };
  madeAt: string;
  basis: Basis;
  prices: PriceBasis;
  /** The assumptions about archives, such as the compression ratio. */
  assumptions: Assumptions;
  /** One for each region and currency, the highest monthly cost first. */
  regions: RegionAnalysis[];
  /** One for each billing month and currency of the reports, oldest first; empty for `live`. */
  trend: TrendMonth[];
  warnings: AnalysisWarning[];
}

export type Basis =
  | {
      kind: 'report';
      sources: { name: string; format: ReportFormat; granularity: 'hourly' | 'daily' | 'monthly' }[];
      /** The first day with snapshots. */
      firstDay: string;
      /** The latest complete day, to which the sizes apply. */
      latestDay: string;
      /**
       * `understood`: all rows except malformed ones, and except those that may concern EBS snapshots but are not understood;
       * `ofSnapshots`: rows about the storage of EBS snapshots; `broken`: malformed rows.
       */
      rows: { read: number; understood: number; ofSnapshots: number; broken: number };
      /** The costs of EBS snapshots over the whole time of the reports, by currency; empty if the reports have no costs. */
      charges: SnapshotCharges[];
      /** Whether the snapshots were joined with data of EC2. */
      isJoined: boolean;
    }
  | { kind: 'live'; latestDay: string; calls: { requests: number; dollars: number } };

/**
 * The total cost of all rows about EBS snapshots, and the part that is understood. The difference may belong to snapshots
 * and is not in any other sum. The cost of malformed rows is unknown.
 */
export interface SnapshotCharges {
  currency: string;
  inReport: number;
  explained: number;
  /** The part of `explained` for storage, from which the costs of snapshots are computed. */
  storage: number;
  /**
   * The part of `explained` for retrieval, requests, credits, taxes and discounts, by usage type or line item type. Costs may
   * be negative.
   */
  others: { what: string; cost: number }[];
}

export type ReportFormat = 'legacy-cur' | 'cur-2.0' | 'focus-1.0' | 'focus-1.2';

export interface PriceBasis {
  /** The built-in table, the Price List API, a file, or the rates of the report. */
  source: 'built-in' | 'price-list' | 'file' | 'report';
  /** The day of the prices. */
  asOf: string;
  note: string;
}

/** The compression ratio for volumes that have no measured ratio of their own. */
export interface AssumedCompression {
  /** Plain bytes per stored byte, e.g. 2 for 2:1. */
  compression: number;
  compressionIs: 'assumed' | 'given' | 'measured';
  /** The archives on which it was measured; `null` if it was not measured. */
  measuredOn: { bucket: string; prefix: string; archives: number } | null;
}

export interface Assumptions extends AssumedCompression {
  /** How snapshots are read: through the EBS direct APIs, or from temporary volumes of a type. */
  reading: 'direct' | { volumeType: string };
  /** Number of months for which archives are kept, over which savings are computed. */
  keepMonths: number;
  /** For volumes on which the change cannot be measured. */
  change?: AssumedChange;
}

export interface AssumedChange {
  /** Percentage of the data that changes between two snapshots. */
  percent: number;
  is: 'assumed' | 'given';
}

/** The compression ratio of existing archives. */
export interface MeasuredRatio {
  /** Plain bytes per stored byte. */
  compression: number;
  /** Number of archives. */
  archives: number;
}

export interface RegionAnalysis {
  region: string;
  currency: string;
  accounts: string[];
  gib: number;
  monthly: number;
  /** Whether the costs come from the report; otherwise they are computed from list prices, in their currency. */
  isBilled: boolean;
  snapshotCount: number;
  /** The highest monthly cost first. */
  volumes: VolumeAnalysis[];
}

export interface VolumeAnalysis {
  /** `null` for snapshots that EC2 does not know. */
  id: string | null;
  sizeGiB: number | null;
  name: string | null;
  isDeleted: boolean;
  gib: number;
  monthly: number;
  /** The average change between snapshots as a percentage of the volume size; `null` for a single snapshot. */
  averageChange: number | null;
  /** The ratio of the existing archives of the volume; `null` if there are none, or they were not measured. */
  measured: MeasuredRatio | null;
  /** The change between snapshots; undefined if there is no decision. */
  change?: ChangeRate;
  /** The costs to come; `null` if no further snapshots are likely, undefined if there is no decision. */
  outlook?: Outlook | null;
  /** The snapshots in the order of their start times, oldest first. */
  snapshots: SnapshotAnalysis[];
  /** The decision for all snapshots together; `null` if there is not enough data. */
  decision: Decision | null;
}

export interface ChangeRate {
  /** Percentage of the data that changes between two snapshots. */
  percent: number;
  is: 'measured' | AssumedChange['is'];
  /** Number of snapshots of which the change was measured; 0 if it was not. */
  measuredOn: number;
  /** Average number of days between two snapshots; `null` if it was not measured. */
  days: number | null;
}

/** The costs per month after some time, if snapshots continue at the same rate and all of them are kept. */
export interface Outlook {
  /** Number of months, those for which archives are kept. */
  months: number;
  /** Number of snapshots in that time, and the days between them. */
  snapshots: number;
  days: number;
  /** Cost per month as snapshots in EBS, and as full or incremental archives in Deep Archive. */
  ebs: number;
  full: number;
  incremental: number;
}

export interface SnapshotAnalysis {
  id: string;
  account: string | null;
  startedAt: string | null;
  description: string | null;
  tier: 'standard' | 'archive';
  /** The billed size: blocks that no earlier snapshot of the volume contains. */
  gib: number;
  monthly: number;
  /** The billed size as a percentage of the volume size; `null` for the first snapshot of a volume. */
  share: number | null;
  /** The size of all blocks that it refers to; `null` if EC2 does not report it. */
  fullGiB: number | null;
  /** Ids of images (AMIs) that use it. */
  images: string[];
  decision: Decision | null;
}

/** The choices for a snapshot, or for all snapshots of a volume. */
export interface Decision {
  /** `keep` first, then the others by their saving over `keepMonths`. */
  choices: Choice[];
  /** Index of the best choice in `choices`. */
  best: number;
  /** A sentence: why it is the best choice, or why nothing can be moved. */
  reason: string;
}

export interface Choice {
  what: 'keep' | 'ebs-archive' | 's3';
  /** The S3 storage class; otherwise `null`. */
  storageClass: string | null;
  /** `incremental`: the archives of `migrate --incremental`. */
  form: 'full' | 'incremental' | null;
  /** Of incremental archives: the number of bases and packs, and the stored GiB that a restore of one snapshot may thaw. */
  chain?: { bases: number; packs: number; mostThawedGiB: number };
  /** The snapshots that are moved; undefined for `keep`. */
  scope?: 'one' | 'all' | 'all-but-latest';
  storedGiB: number;
  monthly: number;
  /** One-time cost of moving: reading (API requests or volume hours) and S3 requests. */
  oneOff: number;
  /** Minimum number of days that are billed. */
  minimumDays: number;
  /** One-time cost and time of restoring everything. */
  restore: { cost: number; takes: string };
  /** Saving per month compared with `keep`. */
  saving: number;
  /** Deleting a snapshot frees only blocks that no other one refers to; if their size is unknown, the saving is a bound. */
  savingIs: 'exact' | 'upper-bound' | 'lower-bound';
  /** The day on which the move has paid off; `null` if never. */
  breakEven: string | null;
}

export interface TrendMonth {
  /** `YYYY-MM` */
  month: string;
  currency: string;
  gib: number;
  cost: number;
  snapshotCount: number;
}

export interface AnalysisWarning {
  /** A stable code, e.g. `no-resource-ids`, `broken-rows`, `monthly-report` or `region-not-asked`. */
  code: string;
  text: string;
}
