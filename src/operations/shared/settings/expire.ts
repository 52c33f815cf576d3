/** The settings of `expire`. */
import type { WantedTag } from './archive-filter.ts';

/** The periods of which the latest archive of each can be kept. */
export const PERIODS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

export type Period = (typeof PERIODS)[number];

/** Which archives of a volume to keep. An archive is kept if any rule keeps it. */
export interface KeepRules {
  /** Number of the latest archives; 0 for none. */
  readonly last: number;
  /** Numbers of the latest periods that have an archive, of each of which the latest archive is kept; 0 for none. */
  readonly periods: Readonly<Record<Period, number>>;
  /** Seconds before the latest archive; `null` for none. */
  readonly within: number | null;
  /** Tags of snapshots. */
  readonly tags: readonly WantedTag[];
}

export interface ExpireSettings {
  prefix: string;
  /** Only archives of these volumes; all if empty. */
  volumes: readonly string[];
  keep: KeepRules;
  /** Seconds between the mark of an archive and its removal. */
  grace: number;
  /** Whether to mark and remove archives; otherwise they are only listed. */
  remove: boolean;
  tagKey: string;
  /** Seconds that a claim lasts without renewal. */
  claimLife: number;
}
