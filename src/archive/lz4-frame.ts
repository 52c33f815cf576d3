/** The frame format of `lz4`. Source: "LZ4 Frame Format Description" 1.6. */
import { checksumOfShort } from '../lib/bytes/xxh32.ts';

export const HEADER_BYTES = 7;

/** The length field before each block. After the last block it is zero. */
export const LENGTH_BYTES = 4;

/** The top bit marks an uncompressed block. */
export const LENGTH_MASK = 0x7fffffff;
export const UNCOMPRESSED = 0x80000000;

const MAGIC = 0x184d2204;

/** Version 1, independent blocks without checksums. The content may have a checksum. */
const FLAGS = 0x60;
const CONTENT_CHECKSUM = 0x04;

/** Plain bytes of the largest block type, which the `lz4` command uses for all longer streams. */
export const MAX_BLOCK_BYTES = 4_194_304;

/** Plain bytes per block, except the last one, by the descriptor of the frame. Short streams may use smaller blocks. */
const BLOCK_BYTES: Record<number, number> = { 64: 65_536, 80: 262_144, 96: 1_048_576, 112: MAX_BLOCK_BYTES };

export interface Lz4Frame {
  blockBytes: number;
  /** Whether the XXH32 of all plain bytes follows the last block. */
  hasChecksum: boolean;
}

/** @returns `null` if the `lz4` command does not write such frames by default. Other frames may be valid as well. */
export function frameOf(header: Buffer): Lz4Frame | null {
  if (header.length < HEADER_BYTES || header.readUInt32LE(0) !== MAGIC) return null;
  const flags = header.readUInt8(4);
  const blockBytes = BLOCK_BYTES[header.readUInt8(5)];
  if ((flags & ~CONTENT_CHECKSUM) !== FLAGS || blockBytes === undefined) return null;
  if (header.readUInt8(6) !== ((checksumOfShort(header.subarray(4, 6)) >>> 8) & 0xff)) return null;
  return { blockBytes, hasChecksum: (flags & CONTENT_CHECKSUM) !== 0 };
}

/** Returns the header that `lz4 -1` writes: independent blocks of 4 MiB, followed by a content checksum. */
export function contentFrameHeader(): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC);
  header.writeUInt8(FLAGS | CONTENT_CHECKSUM, 4);
  header.writeUInt8(112, 5);
  header.writeUInt8((checksumOfShort(header.subarray(4, 6)) >>> 8) & 0xff, 6);
  return header;
}

/** What a frame of one block has around the block: header, length, end, checksum. */
export const SINGLE_BLOCK_FRAME_BYTES: number = HEADER_BYTES + 3 * LENGTH_BYTES;

/** The header and the end of a frame without a content checksum. */
export const FRAME_HEADER: Buffer = Buffer.from('04224d18607073', 'hex');
export const FRAME_END: Buffer = Buffer.alloc(LENGTH_BYTES);
