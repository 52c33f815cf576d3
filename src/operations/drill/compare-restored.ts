/** Compares restored data, which is read again from the scratch directory, with the index of the archive. */
import { createHash, randomBytes } from 'node:crypto';
import { type BigIntStats, createReadStream, mkdtempSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BLOCK_KIND, type BlockTable, isBlock } from '../../archive/block-table.ts';
import type { IndexedMember } from '../../archive/file-index.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { DifferenceList } from '../../streams/difference.ts';
import { DiskTree, pathOfMember, typeOf } from '../../streams/disk-tree.ts';
import { HashLog, HashSum, keyedHash, NO_FACT } from '../../streams/hash-log.ts';
import { isSameInode, xattrFact } from '../../streams/inode-hash.ts';
import { compareXattrs } from '../reading/attributes/compare-xattrs.ts';
import { readDeepXattrs } from '../reading/attributes/deep-xattrs.ts';
import { walkInTurns } from '../reading/attributes/walk-in-turns.ts';
import type { ArchivedObject } from '../reading/find-archive.ts';
import { readFileIndex } from '../reading/index/read-index.ts';
import type { ReadContext } from '../reading/read-context.ts';
import { ImageBlocks } from '../restore/image/image-blocks.ts';

export interface RestoredFindings {
  differences: DifferenceList;
  files: number;
  bytes: number;
  /**
   * Number of files and blocks that the index cannot verify: sparse files, whose holes it does not record, and blocks
   * without a hash.
   */
  unproved: number;
}

const CHUNK_BYTES = 1024 * 1024;

/**
 * Compares names, types, sizes, modes, times, links and contents of all files and, if `isPrivileged`, also owners, device
 * nodes, set-ID bits, extended attributes and access control lists.
 * @throws SnapError `DIFFERS`, `GPG_KEY` as `readFileIndex` does; `STAGE_FAILED`.
 */
export async function compareFilesWithIndex(
  object: ArchivedObject,
  snapshotId: string,
  root: string,
  isPrivileged: boolean,
  services: ReadContext,
): Promise<RestoredFindings> {
  using tree = new DiskTree(root);
  await using temporary = temporaryDirectory();
  const { signal } = services;
  const ignore = isPrivileged ? await defaultXattrs(dirname(root), signal) : new Set<string>();
  const comparison = new IndexComparison(tree, isPrivileged, ignore);
  const logFile = join(temporary.path, 'members');
  await comparison.takeAll(readFileIndex(object, snapshotId, services), logFile, signal);
  await comparison.findUnexpectedNames(signal);
  if (isPrivileged) await comparison.compareXattrs(root, logFile, signal);
  return comparison.found;
}

/**
 * The names of extended attributes that every new file gets, such as SELinux labels. A restored file can have them although
 * the archived one did not.
 */
async function defaultXattrs(directory: string, signal: AbortSignal): Promise<Set<string>> {
  const made = mkdtempSync(join(directory, 'new-'));
  try {
    const names = new Set<string>();
    for await (const { xattrs } of readDeepXattrs(made, signal)) for (const name of xattrs.keys()) names.add(name);
    return names;
  } finally {
    rmdirSync(made);
  }
}

class IndexComparison {
  readonly found: RestoredFindings = { differences: new DifferenceList(), files: 0, bytes: 0, unproved: 0 };
  readonly #tree: DiskTree;
  readonly #isPrivileged: boolean;
  readonly #ignore: ReadonlySet<string>;
  readonly #key = randomBytes(32);
  readonly #names = new HashSum();
  readonly #xattrs = new HashSum();

  /** @param ignore names of extended attributes that are not compared. */
  constructor(tree: DiskTree, isPrivileged: boolean, ignore: ReadonlySet<string>) {
    this.#tree = tree;
    this.#isPrivileged = isPrivileged;
    this.#ignore = ignore;
  }

  /** @param logFile is created; it records the members for `compareXattrs`. */
  async takeAll(index: ReturnType<typeof readFileIndex>, logFile: string, signal: AbortSignal): Promise<void> {
    using log = new HashLog(logFile);
    for await (const line of index) {
      signal.throwIfAborted();
      if (line.is === 'member') await this.#take(line.member, log, signal);
    }
  }

  /** @param logFile the file that `takeAll` has written. */
  async compareXattrs(root: string, logFile: string, signal: AbortSignal): Promise<void> {
    await using onDisk = compareXattrs({ root, key: this.#key, logFile, ignore: this.#ignore, signal });
    this.found.differences.addAll(await onDisk.finish({ xattrSum: this.#xattrs.toString() }));
  }

  async #take(member: IndexedMember, log: HashLog, signal: AbortSignal): Promise<void> {
    const path = pathOfMember(member.path);
    const { differences } = this.found;
    if (path === null) return differences.add('outside', member.path, 'the name leads out of the root of the archive');
    const isDevice = member.type === 'character' || member.type === 'block';
    if (isDevice && !this.#isPrivileged) return;
    const stat = this.#tree.stat(path);
    const name = keyedHash(this.#key, path);
    log.add(name, stat ? this.#xattrFact(stat, member) : NO_FACT);
    if (!stat) return differences.add('not-on-disk', path, `a ${member.type} that was not restored`);
    this.#names.add(name);
    if (member.type === 'hardlink') return this.#compareLink(path, member, stat);
    if (typeOf(stat) !== member.type)
      return differences.add('type', path, `${member.type} in the archive, ${typeOf(stat)} after the restore`);
    this.#compareAttributes(path, member, stat);
    if (member.type === 'symlink' && !this.#tree.readLink(path).equals(member.target))
      differences.add('target', path, 'the symbolic link has another target');
    if (isDevice) this.#compareDevice(path, member, stat);
    if (member.type === 'file') await this.#compareContent(path, member, stat, signal);
  }

  /** Compares one sum over all names, so a difference does not show which name is unexpected. */
  async findUnexpectedNames(signal: AbortSignal): Promise<void> {
    if (this.found.differences.count > 0) return;
    const onDisk = new HashSum();
    for await (const { path } of walkInTurns(this.#tree, signal)) onDisk.add(keyedHash(this.#key, path));
    if (onDisk.toString() !== this.#names.toString())
      this.found.differences.add('not-in-archive', '', 'the restored names differ from those in the index');
  }

  /** The index records extended attributes only for the first name of a file. */
  #xattrFact(stat: BigIntStats, member: IndexedMember): Buffer {
    const xattrs = new Map([...member.xattrs].filter(([name]) => !this.#ignore.has(name)));
    if (xattrs.size === 0) return NO_FACT;
    const fact = xattrFact(this.#key, stat, xattrs);
    this.#xattrs.add(fact);
    return fact;
  }

  #compareLink(path: Buffer, { target }: IndexedMember, stat: BigIntStats): void {
    const first = pathOfMember(target);
    const other = first && this.#tree.stat(first);
    if (!other || !isSameInode(other, stat))
      this.found.differences.add('links', path, 'it is not a hard link after the restore');
  }

  #compareAttributes(path: Buffer, member: IndexedMember, stat: BigIntStats): void {
    const { differences } = this.found;
    const { type, uid, gid, mtime } = member;
    const kept = this.#isPrivileged || type !== 'file' ? 0o7777 : 0o1777;
    const [mode, wanted] = [Number(stat.mode) & 0o7777, member.mode & kept];
    if (type !== 'symlink' && mode !== wanted)
      differences.add('mode', path, `${octal(wanted)} in the archive, ${octal(mode)} after the restore`);
    if (this.#isPrivileged && (Number(stat.uid) !== uid || Number(stat.gid) !== gid))
      differences.add('owner', path, `${uid}:${gid} in the archive, ${stat.uid}:${stat.gid} after the restore`);
    if (stat.mtimeNs !== mtime)
      differences.add('mtime', path, `${mtime} ns in the archive, ${stat.mtimeNs} ns after the restore`);
  }

  #compareDevice(path: Buffer, { device }: IndexedMember, { rdev }: BigIntStats): void {
    const { major, minor } = device;
    // The same encoding as makedev in glibc.
    const wanted =
      (BigInt(major & 0xfff) << 8n) | (BigInt(major >> 12) << 32n) | BigInt(minor & 0xff) | (BigInt(minor >> 8) << 20n);
    if (rdev !== wanted) this.found.differences.add('device', path, 'the device number differs after the restore');
  }

  async #compareContent(
    path: Buffer,
    { size, data }: IndexedMember,
    stat: BigIntStats,
    signal: AbortSignal,
  ): Promise<void> {
    this.found.files++;
    this.found.bytes += data?.bytes ?? 0;
    if (stat.size !== size)
      return this.found.differences.add('size', path, `${size} bytes in the archive, ${stat.size} after the restore`);
    if (data === null || BigInt(data.bytes) !== size) {
      this.found.unproved++;
      return;
    }
    const hash = createHash('sha256');
    const content = createReadStream('', { fd: this.#tree.open(path), highWaterMark: CHUNK_BYTES, signal });
    for await (const chunk of content) hash.update(chunk as Buffer);
    if (hash.digest('hex') !== data.sha256)
      this.found.differences.add('content', path, 'the restored file has another SHA-256');
  }
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

/** Compares a restored image with its index, block by block. Holes are not read where the index has zeros. */
export async function compareImageWithIndex(
  file: string,
  table: BlockTable,
  signal: AbortSignal,
): Promise<RestoredFindings> {
  const { kinds, blockBytes, bytes } = table;
  const found: RestoredFindings = { differences: new DifferenceList(), files: 0, bytes: 0, unproved: 0 };
  await using written = await ImageBlocks.open(file, table, signal);
  const { fileBytes } = written;
  if (fileBytes !== bytes)
    found.differences.add('size', '', `${bytes} bytes in the archive, ${fileBytes} after the restore`);
  const zeros = Buffer.alloc(blockBytes);
  const end = Math.min(kinds.length, Math.ceil(fileBytes / blockBytes));
  await written.visit({ first: 0, end }, (block, index) => {
    if (kinds[index] === BLOCK_KIND.unknown) found.unproved++;
    else if (!isBlock(block, index, table, zeros))
      found.differences.add('content', '', `the restored block at byte ${index * blockBytes} differs`);
    // Blocks of zeros are holes in the sparse file and do not count as restored data.
    if (kinds[index] !== BLOCK_KIND.zero) found.bytes += block.length;
    return true;
  });
  return found;
}
