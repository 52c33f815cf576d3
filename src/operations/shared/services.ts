/** The outside world, as operations see it. */
import type { BlockCounts, NewSnapshots, SnapshotBlocks } from '../../cloud/blocks.ts';
import type { Examiner } from '../../cloud/examiner.ts';
import type { Inventory } from '../../cloud/inventory.ts';
import type { ArchiveStore, Call, CallerIdentity, Instance, Snapshots, Volumes } from '../../cloud/ports.ts';
import type { Prices } from '../../costs/price-types.ts';
import type { Host } from '../../events.ts';
import type { DirectAccess } from '../../fuse/serving-order.ts';
import type { BlockRateLimiter } from '../../transfer/rate-limiter.ts';

/** The part of the outside world that bills are about. */
export interface AnalyzeServices {
  inventory: Inventory;
  counts: BlockCounts;
  /** Any bucket that may be read. */
  bucket(name: string): ReadableBucket;
  /** Of these regions; the report tells which. */
  prices(regions: readonly string[], call: Call): Promise<Prices>;
  host: Host;
}

export type ReadableBucket = Pick<ArchiveStore, 'bucket' | 'objects' | 'head' | 'reader' | 'getSmall'>;

/** The outside world, as operations see it. */
export interface Services {
  snapshots: Snapshots;
  /** Those of another region. */
  snapshotsIn(region: string): Snapshots;
  volumes: Volumes;
  blocks: SnapshotBlocks;
  newSnapshots: NewSnapshots;
  rateLimiter: BlockRateLimiter;
  /** For processes of their own that read blocks. */
  directAccess: DirectAccess;
  store: ArchiveStore;
  examiner: Examiner;
  region: string;
  /** @throws SnapError `NOT_ON_INSTANCE` */
  instance(): Promise<Instance>;
  /** @throws SnapError `NOT_SUPPORTED_HERE` for the credentials of another store than AWS's. */
  callerIdentity(call: Call): Promise<CallerIdentity>;
  /** Waits until the machine is announced to be stopped or taken away. @returns why, as a clause. */
  awaitNotice(signal: AbortSignal): Promise<string>;
  /** Where programs are looked for, as in `PATH`. */
  searchPath: string;
  host: Host;
}
