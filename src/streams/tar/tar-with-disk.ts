/**
 * Compares a tar stream with the filesystem that it was made from: every member, every byte, and whether anything is
 * missing.
 */
import { type BigIntStats, closeSync } from 'node:fs';
import type { ByteStream } from '../../archive/byte-stream.ts';
import { dataLength } from '../../archive/tar/member-data.ts';
import { TarError, type TarMember } from '../../archive/tar/tar-member.ts';
import { readMembers } from '../../archive/tar/tar-reader.ts';
import type { MapperEnds } from '../allocated-parts.ts';
import { DifferenceList } from '../difference.ts';
import { DiskTree, pathOfMember, typeOf } from '../disk-tree.ts';
import { HashSum, NO_FACT } from '../hash-log.ts';
import { isSameInode, xattrFact } from '../inode-hash.ts';
import { ContentComparison } from './compare-content.ts';
import { NameComparison, type NameComparisonOptions, type NameLogs } from './compare-names.ts';

export interface TarComparisonOptions extends NameComparisonOptions {
  /** The mount point of the filesystem. */
  root: string;
  /** Whether to compare only the content of regular files. */
  contentOnly: boolean;
  /** Attributes that the driver makes up at each mount. */
  ignore: readonly ('mtime' | 'mode' | 'owner')[];
  /** Inode number of directories that the driver makes up, together with their times; `null` if it makes up none. */
  syntheticInode: number | null;
  /** A counter of the files compared so far, for the thread that reads ahead. */
  compared: SharedArrayBuffer;
  /** Answers which parts of files are allocated; with `null`, holes are read completely. */
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

class TarComparison {
  readonly #stream: ByteStream;
  readonly #tree: DiskTree;
  readonly #options: TarComparisonOptions;
  readonly #names: NameComparison;
  readonly #content: ContentComparison;
  readonly #xattrs = new HashSum();
  readonly #compared: Int32Array;
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
    this.#names = new NameComparison(tree, options, this.#findings.differences);
    this.#content = new ContentComparison(stream, options.mapper);
  }

  run(): TarFindings {
    // In a truncated tar, the whole rest of the disk would be missing.
    if (this.#takeAll()) this.#names.findMissing();
    this.#names.findCopies();
    return { ...this.#findings, xattrSum: this.#xattrs.toString() };
  }

  /** @returns whether the tar is complete. */
  #takeAll(): boolean {
    using logs = this.#names.openLogs();
    try {
      for (const member of readMembers(this.#stream)) this.#take(member, logs);
      return true;
    } catch (error) {
      if (!(error instanceof TarError)) throw error;
      this.#findings.differences.add('damaged', '', error.message);
      return false;
    }
  }

  #take(member: TarMember, logs: NameLogs): void {
    this.#findings.members++;
    if (member.type === 'file' || member.type === 'hardlink') this.#reportFile();
    const path = pathOfMember(member.path);
    if (path === null) {
      this.#findings.differences.add('outside', member.path, 'the name points outside the archive');
      this.#skipContent(member);
      return;
    }
    const stat = this.#tree.stat(path);
    const fact = stat ? this.#factOf(stat, member) : NO_FACT;
    this.#names.add(path, fact, stat && this.#isLinkedFile(member, stat) ? stat : null, logs);
    if (stat) this.#compare(path, member, stat);
    else {
      this.#findings.differences.add('not-on-disk', path, `the archive has a ${member.type} that is not on the disk`);
      this.#skipContent(member);
    }
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
    const fact = xattrFact(this.#options.key, stat, xattrs);
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
    if (first && isSameInode(first, stat)) return;
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
      const at = this.#content.compare(descriptor, member);
      if (at !== null) differences.add('content', path, `the first difference is near byte ${at}`);
    } finally {
      closeSync(descriptor);
    }
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
