/** The settings of `analyze`. */
import type { AssumedChange, Assumptions } from '../../../costs/analysis.ts';

export interface AnalyzeSettings {
  /** Paths, `s3://` URLs, or `-` for standard input; empty for `analyzeLive`. */
  inputs: readonly string[];
  /** The stream that `-` refers to. */
  input: AsyncIterable<Uint8Array>;
  /** Number of billing months to read from a report in S3, counted from the newest. */
  months: number;
  /** The regions to analyze; empty for all. */
  regions: readonly string[];
  /** The accounts to analyze; empty for all. */
  accounts: readonly string[];
  /** Whether to make no calls to EC2. */
  isOffline: boolean;
  ratio: RatioChoice;
  reading: Assumptions['reading'];
  /** Number of months for which archives are kept. */
  keepMonths: number;
  /** The change between two snapshots, for volumes on which it cannot be measured (default: 5 %). */
  change?: AssumedChange;
}

/** The compression ratio in plain bytes per stored byte, or the bucket whose archives it is measured on. */
export type RatioChoice =
  | { is: 'assumed' | 'given'; compression: number }
  | { is: 'measured'; bucket: string; prefix: string };
