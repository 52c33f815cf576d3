/** The messages between the program and the process that serves a disk as a file. */
import type { ErrorCode } from '../errors.ts';

/** How to call AWS. */
export interface AwsAccess {
  region: string;
  profile?: string;
  /** Seconds without a byte in either direction after which a call fails. */
  callTimeout: number;
  /** Proxies and certificates, in the form that the AWS clients take. */
  network: { proxies: Record<string, string>; authorities: string | null };
}

/** How to access the EBS direct APIs. */
export interface DirectAccess extends AwsAccess {
  /** Blocks per second. */
  blockRate: number;
}

/** How to read the bucket. */
export interface BucketAccess extends AwsAccess {
  s3Endpoint?: string;
  /** Whether the bucket is addressed as `/bucket/key`. */
  forcePathStyle: boolean;
  bucket: string;
  expectedBucketOwner?: string;
}

/** The blocks of a snapshot. All of them are fetched ahead. */
export interface ServedSnapshot {
  kind: 'snapshot';
  access: DirectAccess;
}

/** The blocks of an archive. Only those that are needed are fetched. */
export interface ServedArchive {
  kind: 'archive';
  access: BucketAccess;
  /** The directory with the files that say where the blocks are. */
  places: string;
}

/** A line of JSON on the standard input of the process. It serves until its standard input ends. */
export interface ServingOrder {
  snapshotId: string;
  /** Size of the disk in bytes. */
  bytes: number;
  /** The file to mount on. */
  mountPoint: string;
  scratch: string;
  /** Maximum number of blocks in flight; of frames for an archive. */
  inFlight: number;
  source: ServedSnapshot | ServedArchive;
}

/** Lines of JSON on its standard error. */
export type ServingReport =
  | { serving: 'ready' }
  | { serving: 'retry'; attempt: number; because: string; waitSeconds: number }
  | { serving: 'slowed'; limit: 'snapshot' | 'account'; blocksPerSecond: number }
  /** Stored bytes of an archive were fetched. */
  | { serving: 'fetched'; bytes: number }
  /** A part of an object is fetched once more, because it differs from what was archived. */
  | { serving: 'reread'; key: string }
  | { serving: 'failed'; code: ErrorCode; message: string; hint?: string };
