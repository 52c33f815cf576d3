/** Identifies the files of a mounted filesystem by hashes, independently of their names. */
import type { BigIntStats } from 'node:fs';
import { keyedHash } from './hash-log.ts';

/** On btrfs, a subvolume and its snapshots have the same inode numbers. The kernel shows each of them as a device. */
export type Inode = Pick<BigIntStats, 'dev' | 'ino'>;

export const isSameInode = (a: Inode, b: Inode): boolean => a.ino === b.ino && a.dev === b.dev;

const idOf = ({ dev, ino }: Inode): Buffer => Buffer.from(`${dev}:${ino}`);

export const inodeHash = (key: Buffer, inode: Inode): Buffer => keyedHash(key, idOf(inode));

/** Returns one hash of all attributes of an inode. Both sides of a comparison use it. */
export function xattrFact(key: Buffer, inode: Inode, xattrs: ReadonlyMap<string, Buffer>): Buffer {
  const sorted = [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
  return keyedHash(key, idOf(inode), ...sorted.flatMap(([name, value]) => [Buffer.from(name), value]));
}
