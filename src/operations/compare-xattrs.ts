/** The extended attributes of a disk against those that the members of a tar have. */
import { type Difference, type DifferenceKind, DifferenceList } from '../compare/difference.ts';
import { DiskTree } from '../compare/disk-tree.ts';
import { HashSum, keyedHash, type LoggedFacts, NO_FACT, readParts } from '../compare/hash-log.ts';
import { xattrFact } from '../compare/tar-with-disk.ts';
import { readXattrs } from '../host/xattrs.ts';

export interface XattrOrder {
  root: string;
  /** The key of the tar's hashes. */
  key: Buffer;
  /** What the comparison of the tar has noted of its members. */
  logFile: string;
  directory: string;
  signal: AbortSignal;
}

interface Sink {
  list: Difference[];
  count: number;
  add(kind: DifferenceKind, detail: string, path?: string): void;
}

/** Reads the disk's attributes meanwhile; `finish` compares them with the tar's, and names those that differ. */
export function compareXattrs(order: XattrOrder) {
  const summing = sumOf(order);
  summing.catch(() => {});
  return {
    async finish(tar: { xattrSum: string; members: number }, found: Sink): Promise<void> {
      const onDisk = await summing;
      if (onDisk === tar.xattrSum || found.list.some(({ kind }) => kind === 'damaged')) return;
      const differences = await nameDifferences(order, tar.members);
      for (const { kind, path, detail } of differences.kept) found.add(kind, detail, path);
      found.count += differences.count - differences.kept.length;
    },
  };
}

interface InodeXattrs {
  path: Buffer;
  fact: Buffer;
  hasFurtherNames: boolean;
}

async function* readFacts({ root, key, signal }: XattrOrder): AsyncGenerator<InodeXattrs> {
  using tree = new DiskTree(root);
  for await (const { path, xattrs } of readXattrs(root, signal)) {
    const stat = tree.stat(path);
    if (!stat) continue;
    const hasFurtherNames = !stat.isDirectory() && stat.nlink > 1n;
    yield { path, fact: xattrFact(key, stat.ino, xattrs), hasFurtherNames };
  }
}

/** Each inode once, as in a tar. */
async function sumOf(order: XattrOrder): Promise<string> {
  const sum = new HashSum();
  const seen = new Set<string>();
  for await (const { fact, hasFurtherNames } of readFacts(order)) {
    const text = hasFurtherNames ? fact.toString('hex') : '';
    if (seen.has(text)) continue;
    if (hasFurtherNames) seen.add(text);
    sum.add(fact);
  }
  return sum.toString();
}

const ABSENT = NO_FACT.toString('hex');

async function nameDifferences(order: XattrOrder, members: number): Promise<DifferenceList> {
  const differences = new DifferenceList();
  for (const { isMine, facts } of readParts(order.logFile, members)) {
    for await (const inode of readFacts(order)) {
      const name = keyedHash(order.key, inode.path);
      if (!isMine(name)) continue;
      const inTar = facts.get(name.toString('hex')) ?? [];
      facts.delete(name.toString('hex'));
      if (!isSame(inode, inTar))
        differences.add('xattrs', inode.path, 'extended attributes or access control lists differ');
    }
    nameSurplus(order, isMine, facts, differences);
  }
  return differences;
}

/** In a tar, only the first name of a file has its attributes. */
const isSame = ({ fact, hasFurtherNames }: InodeXattrs, inTar: readonly string[]): boolean =>
  inTar.includes(fact.toString('hex')) || (hasFurtherNames && inTar.every((other) => other === ABSENT));

function nameSurplus(
  { root, key }: XattrOrder,
  isMine: (name: Buffer) => boolean,
  left: LoggedFacts,
  differences: DifferenceList,
): void {
  using tree = new DiskTree(root);
  for (const { path } of tree.walk()) {
    const name = keyedHash(key, path);
    const facts = isMine(name) ? left.get(name.toString('hex')) : undefined;
    if (facts?.some((fact) => fact !== ABSENT)) {
      differences.add('xattrs', path, 'the archive has extended attributes that the disk has not');
    }
  }
}
