/**
 * Parses records of an NTFS master file table. They are read from the device, because drivers do not show everything.
 * The names follow layout.h of ntfs-3g.
 */

export const ATTRIBUTE = {
  standardInformation: 0x10,
  list: 0x20,
  fileName: 0x30,
  volumeInformation: 0x70,
  data: 0x80,
  reparsePoint: 0xc0,
  extendedAttributes: 0xe0,
  loggedUtilityStream: 0x100,
} as const;

const END = 0xffffffff;
const IN_USE = 1;
const IS_DIRECTORY = 2;
/** Fix-ups protect units of this size, whatever the sector size of the disk is. */
const FIXED_UP_BYTES = 512;

export interface MftRecord {
  /**
   * The number of the record that the attributes belong to: this one, or that of the file if it has several records.
   */
  base: number;
  isDirectory: boolean;
  attributes: Attribute[];
}

export interface Attribute {
  type: number;
  name: string;
  /** `null` if the value is not in the record. */
  value: Buffer | null;
  /** Length of the value. Only the first of several pieces of an attribute has it. */
  bytes: number;
  /** Clusters of the value; empty if the value is in the record. */
  runs: Run[];
  /** For a value outside of the record: the number of its first cluster, and the bytes that have been written. */
  firstCluster: number;
  writtenBytes: number;
}

/** Consecutive clusters; `at` is `null` for a hole. */
export interface Run {
  at: number | null;
  clusters: number;
}

/** The volume is damaged or is no NTFS. */
export class NtfsDamage extends Error {}

/**
 * @param bytes one record. Its fix-ups are reverted in place.
 * @returns `null` for a record that is not in use.
 * @throws NtfsDamage; RangeError if an offset is outside of the record.
 */
export function readRecord(bytes: Buffer, number: number): MftRecord | null {
  const magic = bytes.toString('latin1', 0, 4);
  if (magic === 'BAAD') throw new NtfsDamage(`record ${number} is marked as damaged`);
  if (magic !== 'FILE' || (bytes.readUInt16LE(22) & IN_USE) === 0) return null;
  const isDirectory = (bytes.readUInt16LE(22) & IS_DIRECTORY) !== 0;
  undoFixUps(bytes, number);
  const base = referenceAt(bytes, 32);
  return { base: base === 0 ? number : base, isDirectory, attributes: [...attributesOf(bytes, number)] };
}

/** A reference is a record number of 48 bits, followed by a use count. */
export const referenceAt = (bytes: Buffer, at: number): number => bytes.readUIntLE(at, 6);

/** The last two bytes of each sector are stored elsewhere and replaced by a number that reveals torn writes. */
function undoFixUps(bytes: Buffer, number: number): void {
  const [at, count] = [bytes.readUInt16LE(4), bytes.readUInt16LE(6)];
  const mark = bytes.readUInt16LE(at);
  for (let index = 1; index < count; index++) {
    const end = index * FIXED_UP_BYTES - 2;
    if (bytes.readUInt16LE(end) !== mark) throw new NtfsDamage(`record ${number} was not written completely`);
    bytes.copyWithin(end, at + 2 * index, at + 2 * index + 2);
  }
}

function* attributesOf(bytes: Buffer, number: number): Generator<Attribute> {
  let at = bytes.readUInt16LE(20);
  while (bytes.readUInt32LE(at) !== END) {
    const length = bytes.readUInt32LE(at + 4);
    if (length < 24 || at + length > bytes.length) throw new NtfsDamage(`record ${number} has an invalid attribute`);
    yield readAttribute(bytes.subarray(at, at + length));
    at += length;
  }
}

function readAttribute(bytes: Buffer): Attribute {
  const nameAt = bytes.readUInt16LE(10);
  const head = {
    type: bytes.readUInt32LE(0),
    name: bytes.toString('utf16le', nameAt, nameAt + 2 * bytes.readUInt8(9)),
  };
  if (bytes.readUInt8(8) === 0) {
    const [length, at] = [bytes.readUInt32LE(16), bytes.readUInt16LE(20)];
    return {
      ...head,
      bytes: length,
      value: bytes.subarray(at, at + length),
      runs: [],
      firstCluster: 0,
      writtenBytes: 0,
    };
  }
  return {
    ...head,
    value: null,
    bytes: Number(bytes.readBigUInt64LE(48)),
    runs: readRuns(bytes, bytes.readUInt16LE(32)),
    firstCluster: Number(bytes.readBigUInt64LE(16)),
    // Only the first of several pieces of an attribute has this length.
    writtenBytes: Number(bytes.readBigUInt64LE(56)),
  };
}

/**
 * A run starts with a byte that has two lengths. Numbers of these lengths follow: the count of clusters, and the
 * distance from the previous run.
 */
function readRuns(bytes: Buffer, from: number): Run[] {
  const runs: Run[] = [];
  let [at, cluster] = [from, 0];
  for (let lengths = bytes.readUInt8(at); lengths !== 0; lengths = bytes.readUInt8(at)) {
    const [countBytes, moveBytes] = [lengths & 0xf, lengths >> 4];
    if (countBytes === 0 || countBytes > 6 || moveBytes > 6) throw new NtfsDamage('a run has an invalid length');
    const clusters = bytes.readUIntLE(at + 1, countBytes);
    if (moveBytes > 0) cluster += bytes.readIntLE(at + 1 + countBytes, moveBytes);
    runs.push({ at: moveBytes === 0 ? null : cluster, clusters });
    at += 1 + countBytes + moveBytes;
  }
  return runs;
}
