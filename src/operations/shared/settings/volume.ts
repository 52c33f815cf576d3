/** How the disk of a snapshot is read: its claim, its source and its mounts. */

/** Where a snapshot's disk comes from: a temporary volume, the EBS direct APIs, or whichever suits. */
export type SourceChoice = 'volume' | 'direct' | 'auto';

/** What is said of work on a snapshot: its claim, its disk and its mounts. */
export interface VolumeSettings {
  /** Snapshots worked on at once. */
  concurrency: number;
  source: SourceChoice;
  /** Blocks on their way from the EBS direct APIs at once. */
  blockStreams: number;
  replayJournals: boolean;
  mountPoint: string;
  volumeType: string;
  kmsKeyId: string | undefined;
  keepVolumes: boolean;
  /** Milliseconds for each change of state of a volume. */
  waitLimit: number;
  /** Seconds that a claim lives without being renewed. */
  claimLife: number;
}
