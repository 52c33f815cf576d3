/** What `analyze` is told. */
import type { Assumptions } from '../../../costs/analysis.ts';

/** What is analysed, and what is known beforehand. */
export interface AnalyzeSettings {
  /** Paths, `s3://` addresses, or `-` for standard input; empty for `live`. */
  inputs: readonly string[];
  /** What `-` is. */
  input: AsyncIterable<Uint8Array>;
  /** Billing months that are read of a report in S3, newest first. */
  months: number;
  /** Only these; empty for all. */
  regions: readonly string[];
  accounts: readonly string[];
  /** Whether EC2 is asked what snapshots are. */
  isOffline: boolean;
  ratio: RatioChoice;
  reading: Assumptions['reading'];
  /** How long archives are kept, in months. */
  keepMonths: number;
}

/** How well archives are taken to compress: plain bytes for each stored one, or as the archives in a bucket do. */
export type RatioChoice =
  | { is: 'assumed' | 'given'; compression: number }
  | { is: 'measured'; bucket: string; prefix: string };
