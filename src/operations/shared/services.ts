/** The interfaces through which operations use AWS and this machine. */
import type { BlockCounts, NewSnapshots, SnapshotBlocks } from '../../cloud/blocks.ts';
import type { Examiner } from '../../cloud/examiner.ts';
import type { Inventory } from '../../cloud/inventory.ts';
import type { ArchiveStore, Call, CallerIdentity, Instance, Snapshots, Volumes } from '../../cloud/ports.ts';
import type { Prices } from '../../costs/price-types.ts';
import type { Host } from '../../events.ts';
import type { BucketAccess, DirectAccess } from '../../fuse/serving-order.ts';
import type { BlockRateLimiter } from '../../transfer/rate-limiter.ts';

/** The services that `analyze` uses. */
export interface AnalyzeServices {
  inventory: Inventory;
  counts: BlockCounts;
  bucket(name: string): ReadableBucket;
  /** @param regions the regions that the report names. */
  prices(regions: readonly string[], call: Call): Promise<Prices>;
  host: Host;
}

export type ReadableBucket = Pick<ArchiveStore, 'bucket' | 'objects' | 'head' | 'reader' | 'getSmall'>;

/** The services of all other operations. */
export interface Services {
  snapshots: Snapshots;
  /** The snapshots of another region. */
  snapshotsIn(region: string): Snapshots;
  volumes: Volumes;
  blocks: SnapshotBlocks;
  newSnapshots: NewSnapshots;
  rateLimiter: BlockRateLimiter;
  /** The credentials and limits for child processes that read blocks. */
  directAccess: DirectAccess;
  /** The credentials and limits for child processes that read the bucket. */
  bucketAccess: BucketAccess;
  store: ArchiveStore;
  examiner: Examiner;
  region: string;
  /** The region of the bucket, which determines the prices of S3; `null` if it is unknown. It is resolved once. */
  bucketRegion(call: Call): Promise<string | null>;
  /** @throws SnapError `NOT_ON_INSTANCE` if this machine is not an EC2 instance. */
  instance(): Promise<Instance>;
  /** @throws SnapError `NOT_SUPPORTED_HERE` if the bucket is not in AWS, so that its credentials are unknown to STS. */
  callerIdentity(call: Call): Promise<CallerIdentity>;
  /** Waits for a notice that AWS will stop or terminate this instance. @returns the notice as a clause. */
  awaitNotice(signal: AbortSignal): Promise<string>;
  /** Directories in which programs are searched, in the format of `PATH`. */
  searchPath: string;
  host: Host;
}
