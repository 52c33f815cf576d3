/** A member of a tar: a file, a directory, a link or a special file, with its attributes. */

export type MemberType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character' | 'block' | 'fifo';

/** A segment of data in a sparse file. The bytes between segments are zeros. */
export interface DataSegment {
  /** Position in the file, which may exceed the exact range of numbers. */
  offset: bigint;
  length: number;
}

export interface TarMember {
  /** Names are bytes, which need not be UTF-8. */
  path: Buffer;
  type: MemberType;
  /** Length of the file including holes: up to 2 ** 63 - 1, which exceeds the exact range of numbers. */
  size: bigint;
  mode: number;
  uid: number;
  gid: number;
  /** Nanoseconds since the epoch. */
  mtime: bigint;
  /** Whether `mtime` has fractions of a second. */
  hasFraction: boolean;
  target: Buffer;
  device: { major: number; minor: number };
  xattrs: Map<string, Buffer>;
  /** Access rights besides the mode, in the format of tar: ACLs as text, and the SELinux label. */
  rights: Partial<Record<Right, string>>;
  /** Whether the data of the member starts with a map of its segments. */
  isSparse: boolean;
  /** For regular files, the positions of the bytes that follow. */
  segments: DataSegment[];
}

/** Names of the pax records for access rights. */
export const RIGHTS = {
  accessAcl: 'SCHILY.acl.access',
  defaultAcl: 'SCHILY.acl.default',
  selinux: 'RHT.security.selinux',
} as const;

export type Right = keyof typeof RIGHTS;

/** The start of the names of the pax records for extended attributes. */
export const XATTR = 'SCHILY.xattr.';

/** A name as GNU tar writes it in a record, where `=` ends a name. */
export const xattrNameInTar = (name: string): string => name.replaceAll('%', '%25').replaceAll('=', '%3D');

/** The stream is not a tar, or it is damaged. */
export class TarError extends Error {}
