/** A plain stream as the blocks of a new snapshot. */
import { createHash, type Hash } from 'node:crypto';
import { BLOCK_BYTES, type NewSnapshots } from '../cloud/blocks.ts';
import type { BlockRun } from '../lib/bytes/block-run.ts';
import { readBuffers } from './part-reader.ts';
import type { BlockRateLimiter } from './rate-limiter.ts';

export interface BlockWriting {
  snapshots: NewSnapshots;
  snapshotId: string;
  /** What the stream has, and what it leaves out; `null`: it is the whole disk. */
  runs: readonly BlockRun[] | null;
  /** Of blocks that were written before. */
  tally: BlockTally;
  /** Blocks on their way at once. */
  inFlight: number;
  budget: BlockRateLimiter;
  /** Zeros are written too: what was never written to an encrypted snapshot does not read as zero. */
  withZeros: boolean;
  signal: AbortSignal;
  /** Told of each block before it is written; throws when it is not what it must be. */
  check: (index: number, bytes: Buffer, sha256: Buffer) => void;
  /** Told that all blocks before one are written. */
  onWritten: (block: number) => void;
}

/** What CompleteSnapshot wants to know. */
export interface BlockTally {
  blocks: number;
  /** SHA-256 of their hashes in ascending order. */
  hashes: Hash;
}

export interface WrittenBlocks {
  plainBytes: number;
  /** SHA-256 of the plain stream in base 16; empty where it is not the whole disk. */
  plainSha256: string;
  /** What is wrong with the length of the stream; `null` where nothing is. */
  problem: string | null;
}

export const ZERO_BLOCK: Buffer = Buffer.alloc(BLOCK_BYTES);
export const ZERO_HASH: Buffer = createHash('sha256').update(ZERO_BLOCK).digest();

/** Reads a descriptor to its end and closes it. A last block that is not full is filled up with zeros. */
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
  /** In ascending order; what has failed stays. */
  readonly #underWay = new Map<number, Promise<void>>();
  #next = 0;
  readonly signal: AbortSignal;

  constructor(writing: BlockWriting) {
    this.#writing = writing;
    this.signal = AbortSignal.any([writing.signal, this.#failed.signal]);
  }

  /**
   * Waits for room, not for the block.
   * @param sha256 in Base64. @param release called when the bytes are needed no more.
   */
  async send(index: number, bytes: Buffer, sha256: string, release: () => void): Promise<void> {
    const { snapshots, snapshotId, budget, inFlight, onWritten } = this.#writing;
    while (this.#underWay.size >= inFlight) {
      await Promise.race(this.#underWay.values());
      this.signal.throwIfAborted();
    }
    const put = async () => {
      await budget.turn(snapshotId, this.signal);
      await snapshots.put(snapshotId, index, { bytes, sha256 }, { signal: this.signal });
      release();
      this.#underWay.delete(index);
      const [oldest = this.#next] = this.#underWay.keys();
      onWritten(oldest);
    };
    this.#next = index + 1;
    this.#underWay.set(
      index,
      put().catch((error) => this.fail(error)),
    );
  }

  fail(error: unknown): void {
    this.#failed.abort(this.#failed.signal.reason ?? error);
  }

  /** @throws what the first failure was. */
  async finish(): Promise<void> {
    await Promise.all(this.#underWay.values());
    this.signal.throwIfAborted();
  }
}

interface StreamBlock {
  index: number;
  buffer: Buffer;
  /** Bytes of the stream in it. */
  length: number;
  release: () => void;
}

/** Ends with a sentence where the stream is not as long as it should be. */
async function* blocksIn(
  descriptor: number,
  { runs, inFlight, withZeros }: BlockWriting,
  signal: AbortSignal,
): AsyncGenerator<StreamBlock | string> {
  const buffers = readBuffers(descriptor, BLOCK_BYTES, inFlight + 1, signal);
  try {
    if (runs === null) yield* numbered(buffers);
    for (const run of runs ?? []) {
      const end = yield* run.isFetched ? taken(buffers, run) : zeros(run, withZeros);
      if (end < run.to) return yield `the image ends at byte ${end * BLOCK_BYTES}, the disk did not`;
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

/** Leaves what follows to others. @returns the block behind the last one that came. */
async function* taken(buffers: Buffers, { from, to }: BlockRun): AsyncGenerator<StreamBlock, number> {
  for (let index = from; index < to; index++) {
    const { value } = await buffers.next();
    if (!value) return index;
    yield { index, ...value };
  }
  return to;
}

async function* zeros({ from, to }: BlockRun, areWanted: boolean): AsyncGenerator<StreamBlock, number> {
  for (let index = from; areWanted && index < to; index++) {
    yield { index, buffer: ZERO_BLOCK, length: 0, release: () => {} };
  }
  return to;
}
