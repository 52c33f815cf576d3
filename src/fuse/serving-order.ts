/** What a program and the process that serves a snapshot as a file say to each other. */
import type { ErrorCode } from '../errors.ts';

/** How the EBS direct APIs are to be asked, by whichever process does. */
export interface DirectAccess {
  region: string;
  profile?: string;
  /** Seconds. */
  callTimeout: number;
  /** Proxies and certificates, as the client of these APIs takes them. */
  network: { proxies: Record<string, string>; authorities: string | null };
  /** Blocks a second. */
  blockRate: number;
}

/** A line of JSON on its standard input, which stays open for as long as it is to serve. */
export interface ServingOrder extends DirectAccess {
  snapshotId: string;
  /** Length of the disk. */
  bytes: number;
  /** The file that the disk appears as. */
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
