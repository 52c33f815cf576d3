/** Which archives of a bucket are meant. */

/** Which archives are meant; empty and `null` are all. */
export interface ArchiveFilter {
  prefix: string;
  volumes: readonly string[];
  snapshots: readonly string[];
  /** By the start time of the snapshot: from this instant on, and before that one. */
  since: Date | null;
  until: Date | null;
}

export interface WantedTag {
  key: string;
  value: string | null;
}
