/** Settings that select archives in a bucket. */

/** An empty list or `null` selects all archives. */
export interface ArchiveFilter {
  prefix: string;
  volumes: readonly string[];
  snapshots: readonly string[];
  /** Only snapshots that were started at or after this time. */
  since: Date | null;
  /** Only snapshots that were started before this time. */
  until: Date | null;
}

export interface WantedTag {
  key: string;
  /** `null` for any value. */
  value: string | null;
}
