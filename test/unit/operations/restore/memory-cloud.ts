/** A store of one object and a new snapshot in memory. Blocks arrive in another order than they are written in. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { BLOCK_BYTES, type SnapshotBlock } from '../../../../src/cloud/blocks.ts';
import { silentHost } from '../../../../src/events.ts';
import type { ReadContext } from '../../../../src/operations/reading/read-context.ts';
import type { SnapshotCheckpoint } from '../../../../src/operations/restore/snapshot/snapshot-checkpoint.ts';
import type { Services } from '../../../../src/operations/shared/services.ts';

/** A store whose objects are never changed. */
export function contextOf(objects: ReadonlyMap<string, Buffer>, signal: AbortSignal): ReadContext {
  const bodyOf = (key: string): Buffer => objects.get(key) ?? assert.fail(`there is no ${key}`);
  const store = {
    bucket: 'backups',
    head: async (key: string) => ({ key, etag: 'e', bytes: bodyOf(key).length, metadata: {}, crc32: null }),
    reader: (key: string) => ({ key, read: async (from: number, to: number) => [bodyOf(key).subarray(from, to)] }),
  } as unknown as ReadContext['store'];
  return { store, host: silentHost, signal, streams: 3, sessionKey: null };
}

/** The order in which blocks arrive: each waits for this many turns. */
const TURNS = [0, 3, 1, 7, 2];

export class NewSnapshot {
  readonly blocks = new Map<number, Buffer>();
  readonly isEncrypted: boolean;
  /** The block from which the next run resumes. */
  checkpoint = 0;

  constructor(isEncrypted: boolean) {
    this.isEncrypted = isEncrypted;
  }

  /**
   * Runs `fill` until `puts` blocks have arrived, as if the process was killed then.
   * @returns whether it was killed. @param puts `null` for a run that is not killed.
   */
  async run<T>(
    puts: number | null,
    objects: ReadonlyMap<string, Buffer>,
    fill: (services: Services, check: ReadContext, checkpoint: SnapshotCheckpoint) => Promise<T>,
  ): Promise<T | null> {
    const killed = new AbortController();
    let left = puts ?? Number.POSITIVE_INFINITY;
    const put = async (_id: string, index: number, { bytes, sha256 }: SnapshotBlock): Promise<void> => {
      for (let turns = TURNS[index % TURNS.length] ?? 0; turns > 0; turns--) await setImmediate();
      if (left-- <= 0) killed.abort(new Error('killed'));
      killed.signal.throwIfAborted();
      // EBS verifies the checksum of the bytes that arrive. The buffer may be used again only afterwards.
      assert.equal(createHash('sha256').update(bytes).digest('base64'), sha256);
      this.blocks.set(index, Buffer.from(bytes));
    };
    const services = { newSnapshots: { put }, rateLimiter: { acquire: async () => {} } } as unknown as Services;
    const written = (block: number): void => {
      if (!killed.signal.aborted) this.checkpoint = block;
    };
    const checkpoint = { written } as unknown as SnapshotCheckpoint;
    try {
      return await fill(services, contextOf(objects, killed.signal), checkpoint);
    } catch (error) {
      if (!killed.signal.aborted) throw error;
      return null;
    }
  }

  /** Asserts that the snapshot has the bytes of a disk, and that CompleteSnapshot accepts the tally. */
  assertIs(disk: Buffer, tally: { blocks: number; hashes: { digest(): Buffer } }): void {
    const hashes = createHash('sha256');
    for (let index = 0; index * BLOCK_BYTES < disk.length; index++) {
      const expected = Buffer.alloc(BLOCK_BYTES);
      disk.copy(expected, 0, index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
      const block = this.blocks.get(index);
      // Blocks that were never written read as zeros, but not in an encrypted snapshot.
      assert.ok(block || !this.isEncrypted, `block ${index} was never written`);
      assert.ok((block ?? Buffer.alloc(BLOCK_BYTES)).equals(expected), `block ${index} is another one`);
      if (block) hashes.update(createHash('sha256').update(block).digest());
    }
    assert.equal(tally.blocks, this.blocks.size);
    assert.ok(tally.hashes.digest().equals(hashes.digest()), 'the hash of the hashes');
  }
}
