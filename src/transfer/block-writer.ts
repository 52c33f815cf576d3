/** Writes a plain stream as the blocks of a new snapshot. */
import { createHash, type Hash } from 'node:crypto';
import { BLOCK_BYTES, type NewSnapshots } from '../cloud/blocks.ts';
import type { BlockRun } from '../lib/bytes/block-run.ts';
import { readBuffers } from './part-reader.ts';
import type { BlockRateLimiter } from './rate-limiter.ts';

export interface BlockWriting {
  snapshots: NewSnapshots;
  snapshotId: string;
  /** The runs of blocks that the stream contains or omits; `null` if the stream contains the whole disk. */
  runs: readonly BlockRun[] | null;
  /** The count and the hashes of the blocks written so far, including those of an earlier run. */
  tally: BlockTally;
  /** Maximum number of blocks in flight. */
  inFlight: number;
  rateLimiter: BlockRateLimiter;
  /**
   * Whether to write blocks of zeros. In an encrypted snapshot, blocks that were never written do not read as zeros.
   */
  withZeros: boolean;
  signal: AbortSignal;
  /** Called for each block before it is written. Throws if the block does not have the expected content. */
  check: (index: number, bytes: Buffer, sha256: Buffer) => void;
  /** Called with an index when all blocks before it have been written. */
  onWritten: (block: number) => void;
}

/** The values that CompleteSnapshot requires. */
export interface BlockTally {
  blocks: number;
  /** SHA-256 of the hashes of the blocks in ascending order. */
  hashes: Hash;
}

export interface WrittenBlocks {
  plainBytes: number;
  /** SHA-256 of the plain stream in hexadecimal; empty if the stream does not contain the whole disk. */
  plainSha256: string;
  /** Describes a wrong length of the stream; `null` if the length is right. */
  problem: string | null;
}

export const ZERO_BLOCK: Buffer = Buffer.alloc(BLOCK_BYTES);
export const ZERO_HASH: Buffer = createHash('sha256').update(ZERO_BLOCK).digest();

/**
 * Reads a descriptor to its end and closes it. A last block that is not full is padded with zeros.
 * @throws what `check` or the cloud throws, or the reason of the signal.
 */
export async function writeBlocks(descriptor: number, writing: BlockWriting): Promise<WrittenBlocks> {
  const { runs, withZeros, tally, check } = writing;
  const sender = new BlockSender(writing);
  const plain = runs === null ? createHash('sha256') : null;
  const done: WrittenBlocks = { plainBytes: 0, plainSha256: '', problem: null };
  try {
    for await (const block of blocksIn(descriptor, writing, sender.signal)) {
      if (typeof block === 'string') {
        done.problem = block;
        break;
      }
      const { index, buffer, length, release } = block;
      plain?.update(buffer.subarray(0, length));
      done.plainBytes += length;
      if (buffer !== ZERO_BLOCK) buffer.fill(0, length);
      const hash = buffer === ZERO_BLOCK ? ZERO_HASH : createHash('sha256').update(buffer).digest();
      check(index, buffer, hash);
      if (!withZeros && buffer.equals(ZERO_BLOCK)) release();
      else {
        tally.hashes.update(hash);
        tally.blocks++;
        await sender.send(index, buffer, hash.toString('base64'), release);
      }
    }
  } catch (error) {
    sender.fail(error);
  }
  await sender.finish();
  return { ...done, plainSha256: plain?.digest('hex') ?? '' };
}

class BlockSender {
  readonly #writing: BlockWriting;
  readonly #failed = new AbortController();
  /** The blocks in ascending order of their indexes. Those whose write failed stay in the map. */
  readonly #inFlight = new Map<number, Promise<void>>();
  #next = 0;
  readonly signal: AbortSignal;

  constructor(writing: BlockWriting) {
    this.#writing = writing;
    this.signal = AbortSignal.any([writing.signal, this.#failed.signal]);
  }

  /**
   * Starts writing a block. Waits only while too many blocks are in flight.
   * @param sha256 in Base64.
   * @param release is called when the bytes are no longer needed.
   */
  async send(index: number, bytes: Buffer, sha256: string, release: () => void): Promise<void> {
    const { snapshots, snapshotId, rateLimiter, inFlight, onWritten } = this.#writing;
    while (this.#inFlight.size >= inFlight) {
      await Promise.race(this.#inFlight.values());
      this.signal.throwIfAborted();
    }
    const put = async () => {
      await rateLimiter.acquire(snapshotId, this.signal);
      await snapshots.put(snapshotId, index, { bytes, sha256 }, { signal: this.signal });
      release();
      this.#inFlight.delete(index);
      const [oldest = this.#next] = this.#inFlight.keys();
      onWritten(oldest);
    };
    this.#next = index + 1;
    this.#inFlight.set(
      index,
      put().catch((error) => this.fail(error)),
    );
  }

  fail(error: unknown): void {
    this.#failed.abort(this.#failed.signal.reason ?? error);
  }

  /** Waits for the blocks in flight. @throws the first failure */
  async finish(): Promise<void> {
    await Promise.all(this.#inFlight.values());
    this.signal.throwIfAborted();
  }
}

interface StreamBlock {
  index: number;
  buffer: Buffer;
  /** Bytes of the stream in this block. */
  length: number;
  release: () => void;
}

/** Yields a message and ends if the stream is shorter or longer than expected. */
async function* blocksIn(
  descriptor: number,
  { runs, inFlight, withZeros }: BlockWriting,
  signal: AbortSignal,
): AsyncGenerator<StreamBlock | string> {
  const buffers = readBuffers(descriptor, BLOCK_BYTES, inFlight + 1, signal);
  try {
    if (runs === null) yield* numbered(buffers);
    for (const run of runs ?? []) {
      const end = run.isDropped
        ? await dropBlocks(buffers, run)
        : yield* run.isFetched ? fetchedBlocks(buffers, run) : zeroBlocks(run, withZeros);
      if (end < run.to) return yield `the image ends at byte ${end * BLOCK_BYTES}, before the end of the disk`;
    }
    const { done } = await buffers.next();
    if (!done) yield 'the image is longer than the disk';
  } finally {
    await buffers.return(undefined);
  }
}

type Buffers = ReturnType<typeof readBuffers>;

async function* numbered(buffers: Buffers): AsyncGenerator<StreamBlock> {
  let index = 0;
  for await (const buffer of buffers) yield { index: index++, ...buffer };
}

/**
 * Yields the blocks of a run and leaves the rest of the stream. @returns the index after the last block that it read.
 */
async function* fetchedBlocks(buffers: Buffers, { from, to }: BlockRun): AsyncGenerator<StreamBlock, number> {
  for (let index = from; index < to; index++) {
    const { value } = await buffers.next();
    if (!value) return index;
    yield { index, ...value };
  }
  return to;
}

async function dropBlocks(buffers: Buffers, { from, to }: BlockRun): Promise<number> {
  for (let index = from; index < to; index++) {
    const { value } = await buffers.next();
    if (!value) return index;
    value.release();
  }
  return to;
}

async function* zeroBlocks({ from, to }: BlockRun, areWritten: boolean): AsyncGenerator<StreamBlock, number> {
  for (let index = from; areWritten && index < to; index++) {
    yield { index, buffer: ZERO_BLOCK, length: 0, release: () => {} };
  }
  return to;
}
