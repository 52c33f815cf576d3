/**
 * POSIX ACLs as text with numbers. GNU tar records an ACL twice: as the kernel stores it, with the numbers of users and
 * groups, and as text, with the names that the archiving machine had for them. On another machine, these names may belong
 * to other users.
 */
import type { Right, TarMember } from './tar-member.ts';

/** The extended attributes in which the kernel shows ACLs. Source: `include/uapi/linux/posix_acl_xattr.h` of Linux. */
const ATTRIBUTES: Partial<Record<Right, string>> = {
  accessAcl: 'system.posix_acl_access',
  defaultAcl: 'system.posix_acl_default',
};

/** Version 2, then entries of a tag, the permissions and an id. */
const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;

/**
 * The word for each tag of an entry. Entries with `hasId` name a user or a group. Source:
 * `include/uapi/linux/posix_acl.h`.
 */
const TAGS: ReadonlyMap<number, { word: string; hasId: boolean }> = new Map([
  [0x01, { word: 'user', hasId: false }],
  [0x02, { word: 'user', hasId: true }],
  [0x04, { word: 'group', hasId: false }],
  [0x08, { word: 'group', hasId: true }],
  [0x10, { word: 'mask', hasId: false }],
  [0x20, { word: 'other', hasId: false }],
]);

/**
 * Returns the access rights with ACLs as the extended attributes have them, by number. An ACL without such an attribute
 * stays as it is: GNU tar writes both, so the attribute is missing only if the ACL has no entries besides the mode, or if
 * another program made the tar.
 */
export function rightsByNumber({ xattrs, rights }: Pick<TarMember, 'xattrs' | 'rights'>): TarMember['rights'] {
  const found = { ...rights };
  for (const [right, name] of Object.entries(ATTRIBUTES) as [Right, string][]) {
    const value = xattrs.get(name);
    const text = value === undefined ? null : aclText(value);
    if (text !== null) found[right] = text;
  }
  return found;
}

/** Returns one entry per line, such as `user:7:r-x`; `null` if the bytes are not an ACL. */
function aclText(value: Buffer): string | null {
  const isAcl = value.length > HEADER_BYTES && (value.length - HEADER_BYTES) % ENTRY_BYTES === 0;
  if (!isAcl || value.readUInt32LE(0) !== VERSION) return null;
  let text = '';
  for (let at = HEADER_BYTES; at < value.length; at += ENTRY_BYTES) {
    const tag = TAGS.get(value.readUInt16LE(at));
    if (!tag) return null;
    const id = tag.hasId ? value.readUInt32LE(at + 4) : '';
    text += `${tag.word}:${id}:${permissions(value.readUInt16LE(at + 2))}\n`;
  }
  return text;
}

const permissions = (bits: number): string => `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${bits & 1 ? 'x' : '-'}`;
