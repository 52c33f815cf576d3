/** The blocks of a snapshot for an incremental archive: through the EBS direct APIs, or from a device. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import type { Snapshot } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import { GiB } from '../../../lib/units.ts';
import { blocksInOrder, type PlacedBlock } from '../../../transfer/block-image.ts';
import type { Services } from '../../shared/services.ts';
import type { MigrateSettings } from '../../shared/settings/migrate.ts';

export interface PointSource {
  /** Size of the disk in bytes. */
  readonly diskBytes: number;
  /**
   * Yields all blocks that were ever written in ascending order, without their content; `null` if only reading shows which
   * blocks have data.
   */
  written: ((signal: AbortSignal) => AsyncIterable<number>) | null;
  /**
   * Reads blocks in ascending order. The bytes of a block are valid until it is released.
   * @param indexes the blocks; `null` for all that were ever written.
   */
  read(indexes: Uint32Array | null, signal: AbortSignal): AsyncGenerator<PlacedBlock>;
}

export function directSource(
  { id, sizeGiB }: Snapshot,
  { blockStreams: inFlight }: MigrateSettings,
  { blocks, rateLimiter }: Services,
): PointSource {
  const reading = { blocks, snapshotId: id, inFlight, rateLimiter };
  return {
    diskBytes: sizeGiB * GiB,
    async *written(signal) {
      for await (const { index } of blocks.list(id, 0, { signal })) yield index;
    },
    read(indexes, signal) {
      if (indexes === null) return blocksInOrder({ ...reading, from: 0 }, signal);
      const wanted = new Set(indexes);
      const [first = 0, last = -1] = [indexes[0], indexes.at(-1)];
      const range = { from: first * BLOCK_BYTES, end: last + 1, wanted: (index: number) => wanted.has(index) };
      return blocksInOrder({ ...reading, ...range }, signal);
    },
  };
}

/** @param size of the device in bytes. */
export const deviceSource = (path: string, size: number): PointSource => ({
  diskBytes: size,
  written: null,
  async *read(indexes, signal) {
    await using file = await open(path, 'r');
    const buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    for (const index of indexes ?? indexesOf(size)) {
      signal.throwIfAborted();
      const length = Math.min(BLOCK_BYTES, size - index * BLOCK_BYTES);
      const bytes = buffer.subarray(0, length);
      await fill(file, bytes, index * BLOCK_BYTES, path);
      const sha256 = createHash('sha256').update(bytes).digest('base64');
      yield { index, block: { bytes, sha256 }, release: () => {} };
    }
  },
});

function* indexesOf(size: number): Generator<number> {
  for (let index = 0; index * BLOCK_BYTES < size; index++) yield index;
}

async function fill(file: FileHandle, bytes: Buffer, position: number, path: string): Promise<void> {
  for (let filled = 0; filled < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, position + filled);
    if (bytesRead === 0)
      throw new SnapError('UNREADABLE', `${path} ends at byte ${position + filled}`, {
        hint: 'the volume may have been detached; run the same command again',
      });
    filled += bytesRead;
  }
}
