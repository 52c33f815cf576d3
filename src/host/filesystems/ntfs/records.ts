/**
 * Records of an NTFS master file table, and their attributes. They are read off the device itself, so that what a driver
 * does not show is seen. Source: layout.h of ntfs-3g, whose names are kept here.
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
/** Fix-ups protect units of this size, whatever the sectors of the disk are. */
const FIXED_UP_BYTES = 512;

export interface MftRecord {
  /** Number of the record whose attributes these are: its own, or that of the file that needs more than one. */
  base: number;
  isDirectory: boolean;
  attributes: Attribute[];
}

export interface Attribute {
  type: number;
  name: string;
  /** `null` where it lies elsewhere on the disk. */
  value: Buffer | null;
  /** Its length. Only the first of several pieces of an attribute tells. */
  bytes: number;
  /** Where it lies; empty for what is in the record. */
  runs: Run[];
  /** Of what lies elsewhere: the number of the first cluster, and what has been written, in bytes. */
  firstCluster: number;
  writtenBytes: number;
}

/** Clusters of the disk; `at` is `null` for a hole. */
export interface Run {
  at: number | null;
  clusters: number;
}

/** What cannot be read as NTFS. */
export class NtfsDamage extends Error {}

/**
 * @param bytes of one record; its fix-ups are undone in place.
 * @returns `null` for a record that is not in use.
 * @throws NtfsDamage, or RangeError for what reaches beyond the record.
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

/** A reference is the number of a record in 48 bits; the rest counts its uses. */
export const referenceAt = (bytes: Buffer, at: number): number => bytes.readUIntLE(at, 6);

/** The last two bytes of each sector are kept elsewhere, and a number that tells torn writes is in their place. */
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
    if (length < 24 || at + length > bytes.length) throw new NtfsDamage(`record ${number} has an impossible attribute`);
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
    // Only the first of several pieces of an attribute tells.
    writtenBytes: Number(bytes.readBigUInt64LE(56)),
  };
}

/** Each run: a byte with two lengths, how many clusters, and how far from the last run, as numbers of these lengths. */
function readRuns(bytes: Buffer, from: number): Run[] {
  const runs: Run[] = [];
  let [at, cluster] = [from, 0];
  for (let lengths = bytes.readUInt8(at); lengths !== 0; lengths = bytes.readUInt8(at)) {
    const [countBytes, moveBytes] = [lengths & 0xf, lengths >> 4];
    if (countBytes === 0 || countBytes > 6 || moveBytes > 6) throw new NtfsDamage('a run has an impossible length');
    const clusters = bytes.readUIntLE(at + 1, countBytes);
    if (moveBytes > 0) cluster += bytes.readIntLE(at + 1 + countBytes, moveBytes);
    runs.push({ at: moveBytes === 0 ? null : cluster, clusters });
    at += 1 + countBytes + moveBytes;
  }
  return runs;
}
