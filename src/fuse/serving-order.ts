/** The messages between the program and the process that serves a snapshot as a file. */
import type { ErrorCode } from '../errors.ts';

/** How to access the EBS direct APIs. */
export interface DirectAccess {
  region: string;
  profile?: string;
  /** Seconds without a byte in either direction after which a call fails. */
  callTimeout: number;
  /** Proxies and certificates, in the form that the AWS clients take. */
  network: { proxies: Record<string, string>; authorities: string | null };
  /** Blocks per second. */
  blockRate: number;
}

/** A line of JSON on the standard input of the process. It serves until its standard input ends. */
export interface ServingOrder extends DirectAccess {
  snapshotId: string;
  /** Size of the disk in bytes. */
  bytes: number;
  /** The file to mount on. */
  mountPoint: string;
  scratch: string;
  inFlight: number;
}

/** Lines of JSON on its standard error. */
export type ServingReport =
  | { serving: 'ready' }
  | { serving: 'retry'; attempt: number; because: string; waitSeconds: number }
  | { serving: 'slowed'; limit: 'snapshot' | 'account'; blocksPerSecond: number }
  | { serving: 'failed'; code: ErrorCode; message: string; hint?: string };
