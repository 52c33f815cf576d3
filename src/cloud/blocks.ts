/** Contracts for reading and writing snapshots block by block, without a volume. */
import type { Call } from './ports.ts';

export const BLOCK_BYTES = 512 * 1024;

/** A block that has been written at some time. All other blocks of a snapshot are zero. */
export interface BlockRef {
  /** Position on the disk in units of `BLOCK_BYTES`. */
  index: number;
  /** The token that the service requires to read this block. Tokens expire. */
  token: string;
}

export interface SnapshotBlock {
  bytes: Uint8Array;
  /** SHA-256 of the bytes in Base64. The adapter has compared it with the checksum of the service. */
  sha256: string;
}

/** A block that two snapshots of one volume do not have in common. */
export interface ChangedBlock {
  /** Position on the disk in units of `BLOCK_BYTES`. */
  index: number;
  /** `false` if the second snapshot does not have the block: its content was removed, and it reads as zeros. */
  isWritten: boolean;
}

export interface SnapshotBlocks {
  /**
   * Yields the written blocks from index `from` on, in ascending order.
   * @throws SnapError `SNAPSHOT_UNUSABLE` or `ACCESS_DENIED` on the first iteration.
   */
  list(snapshotId: string, from: number, call: Call): AsyncGenerator<BlockRef>;
  /**
   * Yields the blocks of the second snapshot that differ from the first one, in ascending order. A block that is not
   * listed is the same in both, or missing in both.
   * @throws SnapError `SNAPSHOT_UNUSABLE` on the first iteration if EBS cannot compare the snapshots: they are not of one
   *   lineage, or one of them does not exist or cannot be read directly. Nothing is known about their blocks then.
   */
  changed(firstId: string, secondId: string, call: Call): AsyncGenerator<ChangedBlock>;
  /**
   * Reads one block and compares it with its checksum.
   * @param buffer the memory for its bytes, `BLOCK_BYTES` long; by default it is allocated. Reused memory saves a third of
   * the processor time, which the garbage collector spends on large buffers. After an error, it may be used again, too.
   * @throws SnapError `DOWNLOAD_FAILED` if no attempt returns the whole block with a matching checksum.
   */
  read(snapshotId: string, block: BlockRef, call: Call, buffer?: Buffer): Promise<SnapshotBlock>;
}

export interface NewSnapshot {
  sizeGiB: number;
  description: string;
  tags: Record<string, string>;
  encrypted: boolean;
  /** Used only if the snapshot is encrypted. `null` selects the default key of the account. */
  kmsKeyArn: string | null;
}

/** Creates snapshots from blocks, without a volume. */
export interface NewSnapshots {
  /** Starts a snapshot. It stays `pending` until `complete` is called. EBS abandons it an hour after its last block. */
  start(wanted: NewSnapshot, call: Call): Promise<{ id: string; isEncrypted: boolean }>;
  put(snapshotId: string, index: number, block: SnapshotBlock, call: Call): Promise<void>;
  /**
   * Completes the snapshot.
   * @param blocks number of blocks that were written.
   * @param sha256 hash in Base64 of the hashes of all blocks, joined as bytes in ascending order of the block indexes.
   */
  complete(snapshotId: string, blocks: number, sha256: string, call: Call): Promise<void>;
  /** Deletes the snapshot. A snapshot that no longer exists counts as deleted. */
  delete(snapshotId: string, call: Call): Promise<void>;
}

/** The number of blocks in a listing, and the number of requests that it took. Requests are billed. */
export interface Counted {
  blocks: number;
  requests: number;
}

/** Counts the blocks of snapshots without reading them. */
export interface BlockCounts {
  /** Counts the blocks that have been written at some time. */
  written(region: string, snapshotId: string, call: Call): Promise<Counted>;
  /**
   * Counts the blocks of the second snapshot that are missing or different in the first. Both must be of one lineage.
   */
  changed(region: string, firstId: string, secondId: string, call: Call): Promise<Counted>;
}
