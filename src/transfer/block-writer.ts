/** A plain stream as the blocks of a new snapshot. */
import { createHash } from 'node:crypto';
import { BLOCK_BYTES, type NewSnapshots } from '../cloud/blocks.ts';
import type { BlockBudget } from './governor.ts';
import { readBuffers } from './part-reader.ts';

export interface BlockWriting {
  snapshots: NewSnapshots;
  snapshotId: string;
  /** Blocks on their way at once. */
  inFlight: number;
  budget: BlockBudget;
  /** Zeros are written too: what was never written to an encrypted snapshot does not read as zero. */
  withZeros: boolean;
  signal: AbortSignal;
  /** Told of each block before it is written; throws when it is not what it must be. */
  check: (index: number, bytes: Buffer, sha256: Buffer) => void;
}

export interface WrittenBlocks {
  plainBytes: number;
  /** SHA-256 of the plain stream in base 16. */
  plainSha256: string;
  /** How many were written. */
  blocks: number;
  /** SHA-256 of their hashes, in Base64, as CompleteSnapshot wants it. */
  sha256: string;
}

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);

/** Reads a descriptor to its end and closes it. A last block that is not full is filled up with zeros. */
export async function writeBlocks(descriptor: number, writing: BlockWriting): Promise<WrittenBlocks> {
  const { snapshots, snapshotId, budget, withZeros, check } = writing;
  const failed = new AbortController();
  const signal = AbortSignal.any([writing.signal, failed.signal]);
  const plain = createHash('sha256');
  const all = createHash('sha256');
  const done = { plainBytes: 0, blocks: 0 };
  const underWay = new Set<Promise<void>>();
  const send = async (index: number, bytes: Buffer, sha256: string, release: () => void) => {
    await budget.turn(snapshotId, signal);
    await snapshots.put(snapshotId, index, { bytes, sha256 }, { signal });
    release();
  };
  try {
    for await (const { buffer, length, release } of readBuffers(
      descriptor,
      BLOCK_BYTES,
      writing.inFlight + 1,
      signal,
    )) {
      const index = done.plainBytes / BLOCK_BYTES;
      plain.update(buffer.subarray(0, length));
      buffer.fill(0, length);
      done.plainBytes += length;
      const hash = createHash('sha256').update(buffer).digest();
      check(index, buffer, hash);
      if (!withZeros && buffer.equals(ZERO_BLOCK)) {
        release();
        continue;
      }
      all.update(hash);
      done.blocks++;
      const sending: Promise<void> = send(index, buffer, hash.toString('base64'), release)
        .catch((error) => failed.abort(failed.signal.reason ?? error))
        .finally(() => underWay.delete(sending));
      underWay.add(sending);
    }
  } catch (error) {
    failed.abort(failed.signal.reason ?? error);
  } finally {
    await Promise.all(underWay);
  }
  signal.throwIfAborted();
  return { ...done, plainSha256: plain.digest('hex'), sha256: all.digest('base64') };
}
