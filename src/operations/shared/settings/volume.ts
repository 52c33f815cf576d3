/** The settings for reading the disk of a snapshot: claim, source, temporary volume and mounts. */

/** The source of the disk: a temporary volume, the EBS direct APIs, or whichever works here. */
export type SourceChoice = 'volume' | 'direct' | 'auto';

export interface VolumeSettings {
  /** Number of snapshots that are processed at the same time. */
  concurrency: number;
  source: SourceChoice;
  /** Blocks in flight from the EBS direct APIs. */
  blockStreams: number;
  /** Whether to replay filesystem journals before files are read. */
  replayJournals: boolean;
  /** Directory below which partitions are mounted. */
  mountPoint: string;
  volumeType: string;
  /** KMS key that encrypts the temporary volume; `undefined` for the default encryption. */
  kmsKeyId: string | undefined;
  /** Whether to detach temporary volumes without deleting them. */
  keepVolumes: boolean;
  /** Milliseconds to wait for each state change of a volume. */
  waitLimit: number;
  /** Seconds after which a claim expires unless it is renewed. */
  claimLife: number;
}
