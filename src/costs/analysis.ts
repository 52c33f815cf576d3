/**
 * What a billing report, or EC2 alone, tells of snapshots, what each choice would cost, and which is best: the document
 * that `analyze --json` prints and that the page shows. Sizes are GiB (which AWS bills as GB); money is a month's, in the
 * currency of the region's bill, unless a field says otherwise; days are `YYYY-MM-DD` in UTC, instants ISO 8601.
 */

export interface Analysis {
  format: 1;
  tool: { name: string; version: string };
  madeAt: string;
  basis: Basis;
  prices: PriceBasis;
  /** What was assumed of archives, e.g. how well they compress. */
  assumptions: Assumptions;
  /** By monthly cost, dearest first; one for each region and currency. */
  regions: RegionAnalysis[];
  /** One for each billing month of the reports, oldest first; empty for `live`. */
  trend: TrendMonth[];
  warnings: AnalysisWarning[];
}

export type Basis =
  | {
      kind: 'report';
      sources: { name: string; format: ReportFormat; granularity: 'hourly' | 'daily' | 'monthly' }[];
      /** The first day, and the latest complete one, which the sizes are of. */
      firstDay: string;
      latestDay: string;
      /**
       * `understood` are all but those that are broken, and those that may be about EBS snapshots and are not understood;
       * `ofSnapshots` those of the storage of EBS snapshots.
       */
      rows: { read: number; understood: number; ofSnapshots: number; broken: number };
      /** What the reports charge for EBS snapshots in all of their time, by currency; empty where they have no costs. */
      charges: SnapshotCharges[];
      /** Whether EC2 was asked what the snapshots are. */
      isJoined: boolean;
    }
  | { kind: 'live'; latestDay: string; calls: { requests: number; dollars: number } };

/**
 * The sum of all rows about EBS snapshots, and how much of it is understood. `inReport` less `explained` is what may belong to
 * snapshots and is in no other sum; the cost of rows that cannot be read at all is not known.
 */
export interface SnapshotCharges {
  currency: string;
  inReport: number;
  explained: number;
  /** Of `explained`: storage, which the costs of snapshots are taken from. */
  storage: number;
  /** Of `explained`: retrieval, requests, credits, taxes and discounts, by usage type or type of line; they may be negative. */
  others: { what: string; cost: number }[];
}

export type ReportFormat = 'legacy-cur' | 'cur-2.0' | 'focus-1.0' | 'focus-1.2';

export interface PriceBasis {
  /** Which prices: the table in the program, one refreshed from the Price List API, a file, or rates seen in the report. */
  source: 'built-in' | 'price-list' | 'file' | 'report';
  /** The day that they are of. */
  asOf: string;
  note: string;
}

/** How well archives are taken to compress. */
export interface AssumedCompression {
  /** Plain bytes for each stored one, e.g. 2 for 2:1; of volumes that have archives of their own, those tell. */
  compression: number;
  compressionIs: 'assumed' | 'given' | 'measured';
  /** What it was measured on; `null` where it was not. */
  measuredOn: { bucket: string; prefix: string; archives: number } | null;
}

export interface Assumptions extends AssumedCompression {
  /** How snapshots are read: their blocks by the EBS direct APIs, or by temporary volumes of a type. */
  reading: 'direct' | { volumeType: string };
  /** How long archives are kept, in months: what one-off costs are weighed against. */
  keepMonths: number;
}

/** How well archives compress that are there already. */
export interface MeasuredRatio {
  /** Plain bytes for each stored one. */
  compression: number;
  archives: number;
}

export interface RegionAnalysis {
  region: string;
  currency: string;
  accounts: string[];
  gib: number;
  monthly: number;
  /** Whether costs are the report's; otherwise they are by the price list, in its currency. */
  isBilled: boolean;
  snapshotCount: number;
  /** By monthly cost, dearest first. */
  volumes: VolumeAnalysis[];
}

export interface VolumeAnalysis {
  /** `null`: snapshots of which nothing is known but the bill. */
  id: string | null;
  sizeGiB: number | null;
  name: string | null;
  isDeleted: boolean;
  gib: number;
  monthly: number;
  /** Of the volume's size, in per cent, without the first snapshot; `null` for a single one. */
  averageChange: number | null;
  /** Of the volume's own archives; `null` where there are none, or nobody looked. */
  measured: MeasuredRatio | null;
  /** By start time, oldest first. */
  snapshots: SnapshotAnalysis[];
  /** Of the set as a whole; `null` where there is too little to judge by. */
  decision: Decision | null;
}

export interface SnapshotAnalysis {
  id: string;
  account: string | null;
  startedAt: string | null;
  description: string | null;
  tier: 'standard' | 'archive';
  /** What it is billed for: what no earlier snapshot of the volume holds. */
  gib: number;
  monthly: number;
  /** Of the volume's size, in per cent; `null` for the first of a volume. */
  share: number | null;
  /** All data that it leads to; `null` where EC2 does not tell. */
  fullGiB: number | null;
  /** Images (AMIs) that cannot do without it. */
  images: string[];
  decision: Decision | null;
}

/** What could be done with a snapshot, or with all snapshots of a volume. */
export interface Decision {
  /** `keep` first, the others by what is saved in `keepMonths`. */
  choices: Choice[];
  /** Place of the best one in `choices`. */
  best: number;
  /** Why it is the best, or why nothing can be moved: a sentence. */
  reason: string;
}

export interface Choice {
  what: 'keep' | 'ebs-archive' | 's3';
  /** Of S3; `null` otherwise. */
  storageClass: string | null;
  form: 'full' | 'incremental' | null;
  /** Of a volume's set: what is moved; not given for `keep`. Incremental archives are told of, none are written yet. */
  scope?: 'one' | 'all' | 'all-but-latest';
  storedGiB: number;
  monthly: number;
  /** Once, for moving: reading (API or volume hours) and requests. */
  oneOff: number;
  /** What is billed at least, in days. */
  minimumDays: number;
  /** Once, for getting all of it back, and how long that takes. */
  restore: { cost: number; takes: string };
  /** Against keeping, a month. */
  saving: number;
  /** Deleting frees only what no neighbour refers to: where that cannot be told, the saving is a bound. */
  savingIs: 'exact' | 'upper-bound' | 'lower-bound';
  /** The day on which moving has paid for itself; `null`: never. */
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
  /** Stable, e.g. `no-resource-ids`, `broken-rows`, `monthly-report`, `region-not-asked`. */
  code: string;
  text: string;
}
