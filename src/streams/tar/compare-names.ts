/**
 * Compares the names in a tar with those on the disk: what is missing, what the tar has twice, and which hard links became
 * separate files.
 */
import type { BigIntStats } from 'node:fs';
import type { DifferenceList } from '../difference.ts';
import type { DiskTree } from '../disk-tree.ts';
import { HashLog, HashSum, keyedHash, readBuckets, SomeNames } from '../hash-log.ts';
import { inodeHash } from '../inode-hash.ts';

/** Logs of data that do not fit into memory. */
export interface NameLogs extends Disposable {
  /** The names of all members, with the hashes of their attributes. */
  names: HashLog;
  /** The inodes of files with several names of which the tar has the data, with these names. */
  inodes: HashLog;
}

export interface NameComparisonOptions {
  /** The key of all hashes in this run. */
  key: Buffer;
  /** A file to create, for finding out what is missing. Another one is created beside it. */
  logFile: string;
}

export class NameComparison {
  readonly #tree: DiskTree;
  readonly #options: NameComparisonOptions;
  readonly #differences: DifferenceList;
  readonly #sum = new HashSum();

  /** @param differences receives what is found. */
  constructor(tree: DiskTree, options: NameComparisonOptions, differences: DifferenceList) {
    this.#tree = tree;
    this.#options = options;
    this.#differences = differences;
  }

  /** Opens the logs. They must be closed before `findMissing` and `findCopies` read them. */
  openLogs(): NameLogs {
    using opened = new DisposableStack();
    const names = opened.use(new HashLog(this.#options.logFile));
    const inodes = opened.use(new HashLog(this.#inodesFile));
    const logs = opened.move();
    return { names, inodes, [Symbol.dispose]: () => logs.dispose() };
  }

  /**
   * @param fact the hash of the attributes of the member.
   * @param linked the file on disk, if it has several names and the tar has its data with this name; otherwise `null`.
   */
  add(path: Buffer, fact: Buffer, linked: BigIntStats | null, logs: NameLogs): void {
    const { key } = this.#options;
    const name = keyedHash(key, path);
    this.#sum.add(name);
    logs.names.add(name, fact);
    if (linked) logs.inodes.add(inodeHash(key, linked), name);
  }

  get #inodesFile(): string {
    return `${this.#options.logFile}.inodes`;
  }

  /** Reports names that only the disk has, and names that the tar has several times. The tar must be complete. */
  findMissing(): void {
    const onDisk = new HashSum();
    for (const { path, isSocket } of this.#tree.walk()) {
      if (!isSocket) onDisk.add(keyedHash(this.#options.key, path));
    }
    if (onDisk.toString() !== this.#sum.toString()) this.#reportMissing();
  }

  /** Finds files with several names of which the tar has more than one copy. */
  findCopies(): void {
    const { key } = this.#options;
    const differences = this.#differences;
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
    const differences = this.#differences;
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
