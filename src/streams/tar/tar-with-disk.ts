/**
 * Compares a tar stream with the filesystem that it was made from: every member, every byte, and whether anything is
 * missing.
 */
import { type BigIntStats, closeSync, readSync } from 'node:fs';
import type { ByteStream } from '../../archive/byte-stream.ts';
import { dataLength } from '../../archive/tar/member-data.ts';
import { readMembers, TarError, type TarMember } from '../../archive/tar/tar-reader.ts';
import { AllocatedParts, type FilePart, type MapperEnds } from '../allocated-parts.ts';
import { DifferenceList } from '../difference.ts';
import { DiskTree, pathOfMember, typeOf } from '../disk-tree.ts';
import { HashLog, HashSum, keyedHash, NO_FACT, readBuckets, SomeNames } from '../hash-log.ts';

export interface TarComparisonOptions {
  /** The mount point of the filesystem. */
  root: string;
  /** Whether to compare only the content of regular files. */
  contentOnly: boolean;
  /** Attributes that the driver makes up at each mount. */
  ignore: readonly ('mtime' | 'mode' | 'owner')[];
  /** Inode number of directories that the driver makes up, together with their times; `null` if it makes up none. */
  syntheticInode: number | null;
  /** The key of all hashes in this run. */
  key: Buffer;
  /** A file to create, for finding out what is missing. */
  logFile: string;
  /** A counter of the files compared so far, for the thread that reads ahead. */
  compared: SharedArrayBuffer;
  /** For asking which parts of files are allocated; `null` reads holes completely. */
  mapper: MapperEnds | null;
}

export interface TarFindings {
  differences: DifferenceList;
  members: number;
  files: number;
  /** Bytes of content compared, without holes. */
  contentBytes: number;
  /** Sum over the attributes of all members, to be compared with that of the disk. */
  xattrSum: string;
}

export function compareTarWithDisk(stream: ByteStream, options: TarComparisonOptions): TarFindings {
  using tree = new DiskTree(options.root);
  const comparison = new TarComparison(stream, tree, options);
  return comparison.run();
}

const CHUNK_BYTES = 1024 * 1024;
const CHUNK_SIZE = BigInt(CHUNK_BYTES);

/** Reading such a hole takes no longer than asking whether it is allocated. */
const SMALL_HOLE = 4n * CHUNK_SIZE;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

class TarComparison {
  readonly #stream: ByteStream;
  readonly #tree: DiskTree;
  readonly #options: TarComparisonOptions;
  readonly #names = new HashSum();
  readonly #xattrs = new HashSum();
  readonly #compared: Int32Array;
  readonly #allocated: AllocatedParts;
  readonly #scratch = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  readonly #findings: TarFindings = {
    differences: new DifferenceList(),
    members: 0,
    files: 0,
    contentBytes: 0,
    xattrSum: '',
  };

  constructor(stream: ByteStream, tree: DiskTree, options: TarComparisonOptions) {
    this.#stream = stream;
    this.#tree = tree;
    this.#options = options;
    this.#compared = new Int32Array(options.compared);
    this.#allocated = new AllocatedParts(options.mapper);
  }

  run(): TarFindings {
    // In a truncated tar, the whole rest of the disk would be missing.
    if (this.#takeAll()) this.#findMissing();
    this.#findCopies();
    return { ...this.#findings, xattrSum: this.#xattrs.toString() };
  }

  /** @returns whether the tar is complete. */
  #takeAll(): boolean {
    using names = new HashLog(this.#options.logFile);
    using inodes = new HashLog(this.#inodesFile);
    try {
      for (const member of readMembers(this.#stream)) this.#take(member, { names, inodes });
      return true;
    } catch (error) {
      if (!(error instanceof TarError)) throw error;
      this.#findings.differences.add('damaged', '', error.message);
      return false;
    }
  }

  #take(member: TarMember, logs: Logs): void {
    this.#findings.members++;
    if (member.type === 'file' || member.type === 'hardlink') this.#reportFile();
    const path = pathOfMember(member.path);
    if (path === null) {
      this.#findings.differences.add('outside', member.path, 'the name points outside the archive');
      this.#skipContent(member);
      return;
    }
    const name = keyedHash(this.#options.key, path);
    this.#names.add(name);
    const stat = this.#tree.stat(path);
    logs.names.add(name, stat ? this.#factOf(stat, member) : NO_FACT);
    if (stat && this.#isLinkedFile(member, stat)) logs.inodes.add(inodeHash(this.#options.key, stat.ino), name);
    if (stat) this.#compare(path, member, stat);
    else {
      this.#findings.differences.add('not-on-disk', path, `the archive has a ${member.type} that is not on the disk`);
      this.#skipContent(member);
    }
  }

  get #inodesFile(): string {
    return `${this.#options.logFile}.inodes`;
  }

  /** Whether the tar has the data of a file that has several names on the disk. */
  #isLinkedFile({ type }: TarMember, stat: BigIntStats): boolean {
    return type === 'file' && stat.isFile() && stat.nlink > 1n && !this.#options.contentOnly;
  }

  #reportFile(): void {
    Atomics.add(this.#compared, 0, 1);
    Atomics.notify(this.#compared, 0);
  }

  /**
   * Returns one hash of all attributes of a member, independently of their order. Tar stores them only with the first
   * name of a file.
   */
  #factOf(stat: BigIntStats, { xattrs }: TarMember): Buffer {
    if (xattrs.size === 0) return NO_FACT;
    const fact = xattrFact(this.#options.key, stat.ino, xattrs);
    this.#xattrs.add(fact);
    return fact;
  }

  #compare(path: Buffer, member: TarMember, stat: BigIntStats): void {
    if (!this.#options.contentOnly) this.#compareAttributes(path, member, stat);
    const { differences } = this.#findings;
    if (member.type === 'hardlink') {
      this.#compareLink(path, member, stat);
    } else if (typeOf(stat) !== member.type) {
      differences.add('type', path, `${member.type} in the archive, ${typeOf(stat)} on the disk`);
      this.#skipContent(member);
    } else if (member.type === 'file') {
      this.#compareFile(path, member, stat);
    } else if (!this.#options.contentOnly) {
      this.#compareSpecial(path, member, stat);
    }
  }

  #compareAttributes(path: Buffer, member: TarMember, stat: BigIntStats): void {
    const { differences } = this.#findings;
    const { ignore, syntheticInode } = this.#options;
    const mode = Number(stat.mode & 0o7777n);
    if (mode !== member.mode && member.type !== 'symlink' && !ignore.includes('mode')) {
      differences.add('mode', path, `${octal(member.mode)} in the archive, ${octal(mode)} on the disk`);
    }
    if ((Number(stat.uid) !== member.uid || Number(stat.gid) !== member.gid) && !ignore.includes('owner')) {
      differences.add('owner', path, `${member.uid}:${member.gid} in the archive, ${stat.uid}:${stat.gid} on the disk`);
    }
    const isSynthetic = syntheticInode !== null && Number(stat.ino) === syntheticInode;
    if (!isSynthetic && !ignore.includes('mtime') && !isSameTime(member, stat.mtimeNs)) {
      differences.add('mtime', path, `${showTime(member.mtime)} in the archive, ${showTime(stat.mtimeNs)} on the disk`);
    }
  }

  #compareLink(path: Buffer, member: TarMember, stat: BigIntStats): void {
    const target = pathOfMember(member.target);
    const first = target && this.#tree.stat(target);
    if (first && first.ino === stat.ino) return;
    const { differences } = this.#findings;
    if (!target) differences.add('outside', path, 'a hard link that points outside the archive');
    else if (!stat.isFile()) differences.add('type', path, `file in the archive, ${typeOf(stat)} on the disk`);
    else differences.add('links', path, 'a hard link in the archive, a separate file on the disk');
  }

  #compareFile(path: Buffer, member: TarMember, stat: BigIntStats): void {
    const { differences } = this.#findings;
    this.#findings.files++;
    if (stat.size !== member.size) {
      differences.add('size', path, `${member.size} bytes in the archive, ${stat.size} on the disk`);
      this.#skipContent(member);
      return;
    }
    this.#findings.contentBytes += dataLength(member);
    if (member.size === 0n) return;
    const descriptor = this.#tree.open(path);
    try {
      const at = this.#compareContent(descriptor, member);
      if (at !== null) differences.add('content', path, `the first difference is near byte ${at}`);
    } finally {
      closeSync(descriptor);
    }
  }

  /** @returns the approximate position of the first difference, or `null`. The content is read in both cases. */
  #compareContent(descriptor: number, { segments, size }: TarMember): bigint | null {
    let different: bigint | null = null;
    let position = 0n;
    for (const { offset, length } of [...segments, { offset: size, length: 0 }]) {
      if (different === null) different = this.#compareHole(descriptor, position, offset);
      for (let done = 0; done < length; ) {
        const bytes = this.#stream.some(Math.min(length - done, CHUNK_BYTES));
        if (bytes.length === 0) throw new TarError('the tar ends within a file');
        const at = offset + BigInt(done);
        if (different === null && !this.#isOnDisk(descriptor, at, bytes)) different = at;
        done += bytes.length;
      }
      position = offset + BigInt(length);
    }
    return different;
  }

  /** In a large hole, only the allocated parts of the file on disk are read, because the rest cannot contain data. */
  #compareHole(descriptor: number, from: bigint, to: bigint): bigint | null {
    if (to - from <= SMALL_HOLE) return this.#compareZeros(descriptor, { from, to });
    for (const part of this.#allocated.within(descriptor, { from, to })) {
      const at = this.#compareZeros(descriptor, part);
      if (at !== null) return at;
    }
    return null;
  }

  #compareZeros(descriptor: number, { from, to }: FilePart): bigint | null {
    for (let at = from; at < to; at += CHUNK_SIZE) {
      const length = Math.min(CHUNK_BYTES, Number(to - at));
      if (!this.#isOnDisk(descriptor, at, ZEROS.subarray(0, length))) return at;
    }
    return null;
  }

  #isOnDisk(descriptor: number, position: bigint, bytes: Buffer): boolean {
    const target = this.#scratch.subarray(0, bytes.length);
    let filled = 0;
    while (filled < target.length) {
      const length = readSync(descriptor, target, filled, target.length - filled, position + BigInt(filled));
      if (length === 0) return false;
      filled += length;
    }
    return target.equals(bytes);
  }

  #compareSpecial(path: Buffer, member: TarMember, stat: BigIntStats): void {
    const { differences } = this.#findings;
    if (member.type === 'symlink') {
      const target = this.#tree.readLink(path);
      if (!target.equals(member.target)) differences.add('target', path, 'the link has another target');
    } else if (member.type === 'character' || member.type === 'block') {
      const [major, minor] = deviceOf(stat.rdev);
      if (major !== member.device.major || minor !== member.device.minor) {
        differences.add(
          'device',
          path,
          `${member.device.major}:${member.device.minor} in the archive, ${major}:${minor} on the disk`,
        );
      }
    }
  }

  #skipContent(member: TarMember): void {
    if (member.type === 'file') this.#stream.skip(dataLength(member));
  }

  #findMissing(): void {
    const onDisk = new HashSum();
    for (const { path, isSocket } of this.#tree.walk()) {
      if (!isSocket) onDisk.add(keyedHash(this.#options.key, path));
    }
    if (onDisk.toString() !== this.#names.toString()) this.#reportMissing();
  }

  /** Finds files with several names of which the tar has more than one copy. */
  #findCopies(): void {
    const { key } = this.#options;
    const { differences } = this.#findings;
    const copies = new SomeNames();
    for (const { facts } of readBuckets(this.#inodesFile)) {
      for (const [, ...names] of facts.values()) for (const name of names) copies.add(name);
    }
    if (copies.count === 0) return;
    for (const { path } of this.#tree.walk()) {
      if (copies.has(keyedHash(key, path)))
        differences.add('links', path, 'a separate file in the archive, a hard link on the disk');
    }
    differences.count += copies.unnamed;
  }

  #reportMissing(): void {
    const { differences } = this.#findings;
    for (const { isInBucket, facts } of readBuckets(this.#options.logFile)) {
      for (const { path, isSocket } of this.#tree.walk()) {
        const name = keyedHash(this.#options.key, path);
        if (isSocket || !isInBucket(name)) continue;
        const times = facts.get(name.toString('hex'))?.length ?? 0;
        if (times === 0) differences.add('not-in-archive', path, 'it is on the disk but not in the archive');
        if (times > 1) differences.add('duplicate', path, `it is in the archive ${times} times`);
      }
    }
  }
}

/** Logs of data that do not fit into memory. */
interface Logs {
  /** The names of all members, with the hashes of their attributes. */
  names: HashLog;
  /** The inodes of files with several names of which the tar has the data, with these names. */
  inodes: HashLog;
}

const inodeHash = (key: Buffer, inode: bigint): Buffer => keyedHash(key, Buffer.from(String(inode)));

/** Returns one hash of all attributes of an inode. Both sides of a comparison use it. */
export function xattrFact(key: Buffer, inode: bigint, xattrs: ReadonlyMap<string, Buffer>): Buffer {
  const sorted = [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
  return keyedHash(key, Buffer.from(String(inode)), ...sorted.flatMap(([name, value]) => [Buffer.from(name), value]));
}

const SECOND = 1_000_000_000n;

/** If the archive has no fractions of seconds, times are rounded down, also before 1970. */
function isSameTime({ mtime, hasFraction }: TarMember, onDisk: bigint): boolean {
  if (hasFraction) return mtime === onDisk;
  const whole = onDisk / SECOND - (onDisk % SECOND < 0n ? 1n : 0n);
  return mtime === whole * SECOND;
}

function showTime(nanoseconds: bigint): string {
  const date = new Date(Number(nanoseconds / 1_000_000n));
  return Number.isNaN(date.getTime()) ? `${nanoseconds} ns` : date.toISOString();
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

/** Unpacks a device number of the kernel. Source: makedev(3). */
const deviceOf = (rdev: bigint): [number, number] => [
  Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)),
  Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
];
