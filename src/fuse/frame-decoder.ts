/** Decodes frames in memory. What they must contain is known by its hash, so checksums of the formats are not compared. */
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import {
  frameOf,
  HEADER_BYTES,
  LENGTH_BYTES,
  LENGTH_MASK,
  MAX_BLOCK_BYTES,
  UNCOMPRESSED,
} from '../archive/lz4-frame.ts';
import { Lz4Coder } from '../lz4/coder.ts';
import type { FrameObject } from './block-places.ts';

const PAGE_BYTES = 65_536;

/** Room for an encoded and a decoded block, and one page that the coder reserves. */
const PAGES = 1 + (2 * MAX_BLOCK_BYTES) / PAGE_BYTES;

const [ENCODED, DECODED] = [PAGE_BYTES, PAGE_BYTES + MAX_BLOCK_BYTES];

const decompressZstd = promisify(zstdDecompress);

export class FrameDecoder {
  #lz4: { coder: Lz4Coder; bytes: Uint8Array } | null = null;

  /** @param length the number of plain bytes of the frame. @throws Error for anything but a frame with so many bytes. */
  async decode(
    stored: Buffer,
    { codec, areBlocks }: Pick<FrameObject, 'codec' | 'areBlocks'>,
    length: number,
  ): Promise<Buffer> {
    const plain =
      codec === 'zstd'
        ? await decompressZstd(stored, { maxOutputLength: length })
        : this.#decodeLz4(stored, areBlocks ? 0 : startOfBlocks(stored), length);
    if (plain.length !== length) throw new Error(`it decodes to ${plain.length} instead of ${length} bytes`);
    return plain;
  }

  #decodeLz4(stored: Buffer, start: number, length: number): Buffer {
    const plain = Buffer.allocUnsafe(length);
    let filled = 0;
    for (let at = start; at + LENGTH_BYTES <= stored.length; ) {
      const field = stored.readUInt32LE(at);
      const block = stored.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + (field & LENGTH_MASK));
      // A length of zero ends the frame.
      if (field === 0) break;
      if (block.length !== (field & LENGTH_MASK) || block.length > MAX_BLOCK_BYTES)
        throw new Error('a block of lz4 has an invalid length');
      const decoded = field & UNCOMPRESSED ? block : this.#decodeBlock(block);
      if (filled + decoded.length > length) throw new Error(`it decodes to more than ${length} bytes`);
      plain.set(decoded, filled);
      filled += decoded.length;
      at += LENGTH_BYTES + block.length;
    }
    return plain.subarray(0, filled);
  }

  /** @returns bytes that are valid until the next call. */
  #decodeBlock(block: Buffer): Uint8Array {
    this.#lz4 ??= newCoder();
    const { coder, bytes } = this.#lz4;
    bytes.set(block, ENCODED);
    const count = coder.decode(ENCODED, block.length, DECODED, MAX_BLOCK_BYTES);
    if (count === null) throw new Error('a block of lz4 is damaged');
    return bytes.subarray(DECODED, DECODED + count);
  }
}

function newCoder(): { coder: Lz4Coder; bytes: Uint8Array } {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  return { coder: new Lz4Coder(memory), bytes: new Uint8Array(memory.buffer) };
}

function startOfBlocks(stored: Buffer): number {
  if (!frameOf(stored)) throw new Error('it does not begin with a frame of lz4');
  return HEADER_BYTES;
}
