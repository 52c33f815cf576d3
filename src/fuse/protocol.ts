/**
 * The part of the FUSE kernel protocol that a single file needs: the messages between the kernel and a server behind
 * `/dev/fuse`, without libfuse.
 *
 * Each read of `/dev/fuse` returns one request, and each write sends one whole reply. Numbers are little-endian. A
 * request starts with 40 bytes (length, opcode, unique id, node, uid, gid, pid), a reply with 16 (length, negative
 * errno, unique id). The mounted "filesystem" is a single regular file: its root node, 1, is not a directory. Source:
 * include/uapi/linux/fuse.h of Linux. This server supports version 7.31 of the protocol.
 */

/** Maximum bytes of a READ or WRITE. */
export const MAX_TRANSFER = 1024 * 1024;

/** Size of a buffer for requests, which must hold a WRITE with its headers. */
export const REQUEST_BYTES = MAX_TRANSFER + 8192;

const IN_HEADER = 40;
const OUT_HEADER = 16;

const OPCODE = {
  forget: 2,
  getattr: 3,
  setattr: 4,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  flush: 25,
  init: 26,
  access: 34,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
} as const;

export const ERRNO = { EIO: 5, EINVAL: 22, ENOSYS: 38 } as const;

export type Request =
  | { kind: 'init'; id: bigint; minor: number; flags: number }
  | { kind: 'attributes' | 'open' | 'statistics' | 'nothing' | 'unknown'; id: bigint }
  | { kind: 'read'; id: bigint; offset: number; length: number }
  /** The data are a view of the buffer that was decoded. */
  | { kind: 'write'; id: bigint; offset: number; data: Buffer }
  /** The kernel expects no reply. */
  | { kind: 'silent' };

/** @param message one whole request. */
export function decodeRequest(message: Buffer): Request {
  const id = message.readBigUInt64LE(8);
  const body = message.subarray(IN_HEADER);
  switch (message.readUInt32LE(4)) {
    case OPCODE.init:
      return { kind: 'init', id, minor: body.readUInt32LE(4), flags: body.readUInt32LE(12) };
    case OPCODE.getattr:
    case OPCODE.setattr:
      return { kind: 'attributes', id };
    case OPCODE.open:
      return { kind: 'open', id };
    case OPCODE.read:
      return { kind: 'read', id, offset: Number(body.readBigUInt64LE(8)), length: body.readUInt32LE(16) };
    case OPCODE.write: {
      const length = body.readUInt32LE(16);
      return { kind: 'write', id, offset: Number(body.readBigUInt64LE(8)), data: body.subarray(40, 40 + length) };
    }
    case OPCODE.statfs:
      return { kind: 'statistics', id };
    case OPCODE.release:
    case OPCODE.fsync:
    case OPCODE.flush:
    case OPCODE.access:
    case OPCODE.destroy:
      return { kind: 'nothing', id };
    case OPCODE.forget:
    case OPCODE.interrupt:
    case OPCODE.batchForget:
      return { kind: 'silent' };
    default:
      return { kind: 'unknown', id };
  }
}

/** @returns header and content, which must be written with one call. */
export function encodeReply(id: bigint, content: Buffer): [Buffer, Buffer] {
  return [header(id, content.length, 0), content];
}

export const encodeError = (id: bigint, errno: number): Buffer => header(id, 0, errno);

function header(id: bigint, length: number, errno: number): Buffer {
  const bytes = Buffer.alloc(OUT_HEADER);
  bytes.writeUInt32LE(OUT_HEADER + length, 0);
  bytes.writeInt32LE(-errno, 4);
  bytes.writeBigUInt64LE(id, 8);
  return bytes;
}

const MAJOR = 7;
const MINOR = 31;

/** Concurrent reads, read-ahead, and replies of more than 128 KiB. */
const FLAGS = { asyncRead: 1 << 0, bigWrites: 1 << 5, asyncDirectIo: 1 << 15, maxPages: 1 << 22 };
const WANTED = FLAGS.asyncRead | FLAGS.bigWrites | FLAGS.asyncDirectIo | FLAGS.maxPages;

const REQUESTS_AHEAD = 64;
const PAGE_BYTES = 4096;

/** `fuse_init_out` */
export function initContent({ minor, flags }: { minor: number; flags: number }): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32LE(MAJOR, 0);
  bytes.writeUInt32LE(Math.min(minor, MINOR), 4);
  bytes.writeUInt32LE(MAX_TRANSFER, 8);
  bytes.writeUInt32LE((flags & WANTED) >>> 0, 12);
  bytes.writeUInt16LE(REQUESTS_AHEAD, 16);
  bytes.writeUInt16LE((REQUESTS_AHEAD * 3) / 4, 18);
  bytes.writeUInt32LE(MAX_TRANSFER, 20);
  bytes.writeUInt32LE(1, 24);
  bytes.writeUInt16LE(MAX_TRANSFER / PAGE_BYTES, 28);
  return bytes;
}

const ATTRIBUTES_HOLD_SECONDS = 3600n;

/** `fuse_attr_out` for a regular file of root. @param size in bytes */
export function attributesContent(size: number): Buffer {
  const bytes = Buffer.alloc(104);
  bytes.writeBigUInt64LE(ATTRIBUTES_HOLD_SECONDS, 0);
  const at = 16;
  bytes.writeBigUInt64LE(1n, at);
  bytes.writeBigUInt64LE(BigInt(size), at + 8);
  bytes.writeBigUInt64LE(BigInt(Math.ceil(size / 512)), at + 16);
  bytes.writeUInt32LE(0o100600, at + 60);
  bytes.writeUInt32LE(1, at + 64);
  bytes.writeUInt32LE(PAGE_BYTES, at + 80);
  return bytes;
}

/** `fuse_open_out` with FOPEN_KEEP_CACHE. */
export function openContent(): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(1n, 0);
  bytes.writeUInt32LE(1 << 1, 8);
  return bytes;
}

/** `fuse_write_out` */
export function writtenContent(length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(length, 0);
  return bytes;
}

/** `fuse_statfs_out`, which reports no free space. */
export function statisticsContent(): Buffer {
  const bytes = Buffer.alloc(80);
  bytes.writeUInt32LE(PAGE_BYTES, 40);
  bytes.writeUInt32LE(255, 44);
  return bytes;
}
