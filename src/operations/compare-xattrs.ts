/** The extended attributes of a disk against those that the members of a tar have. */
import { type Difference, type DifferenceKind, DifferenceList } from '../compare/difference.ts';
import { DiskTree } from '../compare/disk-tree.ts';
import { HashSum, keyedHash, type LoggedFacts, NO_FACT, readParts } from '../compare/hash-log.ts';
import { xattrFact } from '../compare/tar-with-disk.ts';
import { readDeepXattrs } from './deep-xattrs.ts';

export interface XattrOrder {
  root: string;
  /** The key of the tar's hashes. */
  key: Buffer;
  /** What the comparison of the tar has noted of its members. */
  logFile: string;
  /** Names that are not compared. */
  ignore: ReadonlySet<string>;
  signal: AbortSignal;
}

interface Sink {
  list: Difference[];
  count: number;
  add(kind: DifferenceKind, detail: string, path?: string): void;
}

/**
 * Reads the disk's attributes meanwhile; `finish` compares them with the tar's, and names those that differ. Where no
 * name can be found, that they differ is told all the same.
 */
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

async function* readFacts({ root, key, ignore, signal }: XattrOrder): AsyncGenerator<InodeXattrs> {
  using tree = new DiskTree(root);
  for await (const { path, xattrs } of readDeepXattrs(root, signal)) {
    for (const name of ignore) xattrs.delete(name);
    const stat = tree.stat(path);
    // A tar has no sockets.
    if (!stat || stat.isSocket() || xattrs.size === 0) continue;
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
  const linked = new LinkedInodes();
  for (const { isMine, facts } of readParts(order.logFile, members)) {
    for await (const inode of readFacts(order)) {
      const name = keyedHash(order.key, inode.path);
      if (!isMine(name)) continue;
      const inTar = facts.get(name.toString('hex')) ?? [];
      facts.delete(name.toString('hex'));
      if (inode.hasFurtherNames) linked.take(inode, inTar);
      if (!isSame(inode, inTar)) differences.add('xattrs', inode.path, DIFFER);
    }
    nameSurplus(order, isMine, facts, differences);
  }
  linked.nameBare(differences);
  if (differences.count === 0) {
    differences.add(
      'xattrs',
      '',
      'the attributes of all files together differ, though those of each name are the same',
    );
  }
  return differences;
}

const DIFFER = 'extended attributes or access control lists differ';

/** In a tar, only the first name of a file has its attributes. */
const isSame = ({ fact, hasFurtherNames }: InodeXattrs, inTar: readonly string[]): boolean =>
  inTar.includes(fact.toString('hex')) || (hasFurtherNames && isBare(inTar));

const isBare = (inTar: readonly string[]): boolean => inTar.every((fact) => fact === ABSENT);

/** Files with several names, one of which must have the attributes, whichever comes first. */
class LinkedInodes {
  /** By their facts: the first name that the tar has without attributes; `null` once another one has some. */
  readonly #bare = new Map<string, Buffer | null>();

  take({ fact, path }: InodeXattrs, inTar: readonly string[]): void {
    const key = fact.toString('hex');
    if (!isBare(inTar)) this.#bare.set(key, null);
    else if (!this.#bare.has(key)) this.#bare.set(key, path);
  }

  nameBare(differences: DifferenceList): void {
    for (const path of this.#bare.values()) {
      if (path !== null) differences.add('xattrs', path, 'the archive has the file without its extended attributes');
    }
  }
}

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
