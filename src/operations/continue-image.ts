/** An image whose writing broke off: what is written already is held against the index, and only the rest is fetched. */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { BLOCK_KIND, type BlockTable, HASH_BYTES, lastPlace, type PieceRange } from '../archive/block-table.ts';
import { FRAME_END, FRAME_HEADER } from '../archive/lz4-blocks.ts';
import type { Extent } from '../transfer/download.ts';
import type { CheckServices } from './check-object.ts';
import type { ArchivedObject } from './find-archive.ts';
import { indexLines } from './read-index.ts';

export interface Continuation {
  /** Blocks before it are as they must be. */
  firstBlock: number;
  /** What of the object decodes to the rest. */
  extents: Extent[];
}

/**
 * @param path of a file or device that may hold a part of the image, or anything else.
 * @returns `null` where it has to be written from the beginning.
 * @throws SnapError `MANIFEST`; the signal's reason.
 */
export async function continueImage(
  object: ArchivedObject,
  table: BlockTable | null,
  path: string,
  services: CheckServices,
): Promise<Continuation | null> {
  const { facts, codec } = object;
  if (!table || !facts?.index) return null;
  const written = await writtenBlocks(path, table, services.signal);
  if (written === 0) return null;
  const { key } = facts.index;
  const pieces = await lastPlace(indexLines(object, key, services), key, written * table.blockBytes);
  if (!pieces || pieces.plain === 0 || pieces.plain % table.blockBytes !== 0) return null;
  const firstBlock = pieces.plain / table.blockBytes;
  return { firstBlock, extents: asStream(codec === 'lz4', pieces, facts.storedBytes) };
}

/** Blocks of lz4 in the middle of a frame are followed by the end of that frame, which is left out. */
function asStream(isLz4: boolean, { stored, firstStored, lastStored }: PieceRange, storedBytes: number): Extent[] {
  const isFrame = !isLz4 || firstStored === 0;
  return isFrame ? [{ from: stored, to: storedBytes }] : [FRAME_HEADER, { from: stored, to: lastStored }, FRAME_END];
}

const BLOCKS_AT_ONCE = 16;

/** @returns how many blocks from the first one on are known to be right. */
async function writtenBlocks(path: string, { kinds, hashes, blockBytes }: BlockTable, signal: AbortSignal) {
  await using file = await open(path, 'r');
  const buffer = Buffer.alloc(BLOCKS_AT_ONCE * blockBytes);
  const zeros = Buffer.alloc(blockBytes);
  for (let first = 0; first < kinds.length; first += BLOCKS_AT_ONCE) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, buffer.length, first * blockBytes);
    for (let at = 0; at < BLOCKS_AT_ONCE; at++) {
      const block = buffer.subarray(at * blockBytes, (at + 1) * blockBytes);
      const index = first + at;
      const isThere = index < kinds.length && (at + 1) * blockBytes <= bytesRead;
      const hash = hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
      if (!isThere || !isRight(block, kinds[index], hash, zeros)) return index;
    }
  }
  return kinds.length;
}

function isRight(block: Buffer, kind: number | undefined, hash: Uint8Array, zeros: Buffer): boolean {
  if (kind === BLOCK_KIND.zero) return block.equals(zeros);
  return kind === BLOCK_KIND.data && createHash('sha256').update(block).digest().equals(hash);
}
