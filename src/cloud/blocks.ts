/** Snapshots read block by block, without a volume. */
import type { Call } from './ports.ts';

export const BLOCK_BYTES = 512 * 1024;

/** A block that was written at some time; all others are zero. */
export interface BlockRef {
  /** Position on the disk in units of `BLOCK_BYTES`. */
  index: number;
  /** What the cloud wants to see when it is read. */
  token: string;
}

export interface SnapshotBlock {
  bytes: Uint8Array;
  /** SHA-256 in Base64, by EBS and by our own count. */
  sha256: string;
}

export interface SnapshotBlocks {
  /** Written blocks from an index on, ascending. Throws `SNAPSHOT_UNUSABLE` or `ACCESS_DENIED` at the first. */
  list(snapshotId: string, from: number, call: Call): AsyncGenerator<BlockRef>;
  /** The block, held against its checksum. Throws `DOWNLOAD_FAILED` when it never agrees. */
  read(snapshotId: string, block: BlockRef, call: Call): Promise<SnapshotBlock>;
}

export interface NewSnapshot {
  sizeGiB: number;
  description: string;
  tags: Record<string, string>;
  encrypted: boolean;
  /** `null`: the account's default key, where it is encrypted. */
  kmsKeyArn: string | null;
}

/** Snapshots that are made of blocks, without a volume. */
export interface NewSnapshots {
  /** A snapshot that is `pending` until it is completed, and given up by EBS an hour after its last block. */
  start(wanted: NewSnapshot, call: Call): Promise<{ id: string; isEncrypted: boolean }>;
  put(snapshotId: string, index: number, block: SnapshotBlock, call: Call): Promise<void>;
  /** @param sha256 of the blocks' own hashes, as bytes, in ascending order of their indexes; in Base64. */
  complete(snapshotId: string, blocks: number, sha256: string, call: Call): Promise<void>;
  /** A snapshot that is gone already is a success. */
  delete(snapshotId: string, call: Call): Promise<void>;
}

/** Blocks of a list, and the requests that the list took, which cost money. */
export interface Counted {
  blocks: number;
  requests: number;
}

/** How many blocks snapshots hold, without any of them being read. */
export interface BlockCounts {
  /** Written at some time. */
  written(region: string, snapshotId: string, call: Call): Promise<Counted>;
  /** Blocks of the second that the first has not, or has otherwise. Both are of one lineage. */
  changed(region: string, firstId: string, secondId: string, call: Call): Promise<Counted>;
}
