/** Compares the extended attributes of a mounted filesystem with those of the members of a tar. */
import { sleep } from '../../../lib/clock.ts';
import { DifferenceList } from '../../../streams/difference.ts';
import { DiskTree } from '../../../streams/disk-tree.ts';
import {
  ABSENT,
  HashLog,
  HashSum,
  keyedHash,
  type LoggedFacts,
  NO_FACT,
  readBuckets,
  SomeNames,
} from '../../../streams/hash-log.ts';
import { xattrFact } from '../../../streams/inode-hash.ts';
import { readDeepXattrs } from './deep-xattrs.ts';
import { walkInTurns } from './walk-in-turns.ts';

export interface XattrOrder {
  root: string;
  /** The key of the tar's hashes. */
  key: Buffer;
  /** The log that the comparison of the tar writes about its members. */
  logFile: string;
  /** Names that are not compared. */
  ignore: ReadonlySet<string>;
  signal: AbortSignal;
}

/** A comparison that reads the attributes of the disk in the background. Disposal stops it. */
export interface XattrComparison extends AsyncDisposable {
  /** Compares them with those in the tar, and names those that differ. Reports a difference even if it finds no name. */
  finish(tar: { xattrSum: string }): Promise<DifferenceList>;
}

export function compareXattrs(order: XattrOrder): XattrComparison {
  const ended = new AbortController();
  const running = { ...order, signal: AbortSignal.any([order.signal, ended.signal]) };
  const summing = sumOf(running);
  summing.catch(() => {});
  return {
    finish: async ({ xattrSum }) =>
      (await summing) === xattrSum ? new DifferenceList() : await nameDifferences(running),
    async [Symbol.asyncDispose]() {
      ended.abort(new Error('the attributes of the disk are no longer needed'));
      await summing.catch(() => {});
    },
  };
}

interface InodeXattrs {
  path: Buffer;
  fact: Buffer;
  hasFurtherNames: boolean;
}

async function* readFacts({ root, key, ignore, signal }: XattrOrder): AsyncGenerator<InodeXattrs> {
  using tree = new DiskTree(root);
  for await (const { path, xattrs } of readDeepXattrs(root, signal)) {
    for (const name of ignore) xattrs.delete(name);
    const stat = tree.stat(path);
    // A tar has no sockets.
    if (!stat || stat.isSocket() || xattrs.size === 0) continue;
    const hasFurtherNames = !stat.isDirectory() && stat.nlink > 1n;
    yield { path, fact: xattrFact(key, stat, xattrs), hasFurtherNames };
  }
}

/** Counts each inode once, as a tar does. Inodes with several names are logged to a file, and counted once at the end. */
async function sumOf(order: XattrOrder): Promise<string> {
  const sum = new HashSum();
  const file = `${order.logFile}.linked`;
  {
    using linked = new HashLog(file);
    for await (const { fact, hasFurtherNames } of readFacts(order)) {
      if (hasFurtherNames) linked.add(fact, NO_FACT);
      else sum.add(fact);
    }
  }
  for (const { facts } of readBuckets(file)) {
    for (const fact of facts.keys()) sum.add(Buffer.from(fact, 'hex'));
    await sleep(0, order.signal);
  }
  return sum.toString();
}

async function nameDifferences(order: XattrOrder): Promise<DifferenceList> {
  const differences = new DifferenceList();
  const file = `${order.logFile}.names`;
  await nameEach(order, file, differences);
  await nameBare(order, file, differences);
  if (differences.count === 0) {
    differences.add('xattrs', '', 'the attributes of all files together differ, although those of each name match');
  }
  return differences;
}

/** @param file is created. For inodes with several names, it records each name and whether the tar has its attributes. */
async function nameEach(order: XattrOrder, file: string, differences: DifferenceList): Promise<void> {
  using linked = new HashLog(file);
  const compare = (inode: InodeXattrs, name: Buffer, inTar: readonly string[]) => {
    if (inode.hasFurtherNames) linked.add(inode.fact, isBare(inTar) ? name : NO_FACT);
    if (!isSame(inode, inTar)) differences.add('xattrs', inode.path, DIFFER);
  };
  for (const { isInBucket, facts } of readBuckets(order.logFile)) {
    for await (const inode of readFacts(order)) {
      const name = keyedHash(order.key, inode.path);
      if (!isInBucket(name)) continue;
      compare(inode, name, facts.get(name.toString('hex')) ?? []);
      facts.delete(name.toString('hex'));
    }
    await nameSurplus(order, isInBucket, facts, differences);
  }
}

const DIFFER = 'extended attributes or access control lists differ';

/** In a tar, only the first name of a file has its attributes. */
const isSame = ({ fact, hasFurtherNames }: InodeXattrs, inTar: readonly string[]): boolean =>
  inTar.includes(fact.toString('hex')) || (hasFurtherNames && isBare(inTar));

const isBare = (inTar: readonly string[]): boolean => inTar.every((fact) => fact === ABSENT);

/** Reports files none of whose names has attributes in the tar. It does not matter which name comes first in the tar. */
async function nameBare({ root, key, signal }: XattrOrder, file: string, differences: DifferenceList): Promise<void> {
  const bare = new SomeNames();
  for (const { facts } of readBuckets(file)) {
    for (const [first = ABSENT, ...others] of facts.values()) if (![first, ...others].includes(ABSENT)) bare.add(first);
    await sleep(0, signal);
  }
  if (bare.count === 0) return;
  using tree = new DiskTree(root);
  for await (const { path } of walkInTurns(tree, signal)) {
    if (bare.has(keyedHash(key, path)))
      differences.add('xattrs', path, 'the archive has the file without its extended attributes');
  }
  differences.count += bare.unnamed;
}

async function nameSurplus(
  { root, key, signal }: XattrOrder,
  isInBucket: (name: Buffer) => boolean,
  left: LoggedFacts,
  differences: DifferenceList,
): Promise<void> {
  using tree = new DiskTree(root);
  for await (const { path } of walkInTurns(tree, signal)) {
    const name = keyedHash(key, path);
    const facts = isInBucket(name) ? left.get(name.toString('hex')) : undefined;
    if (facts?.some((fact) => fact !== ABSENT)) {
      differences.add('xattrs', path, 'the archive has extended attributes that the disk does not have');
    }
  }
}
