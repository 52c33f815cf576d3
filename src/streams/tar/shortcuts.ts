/**
 * Shortens paths that are too long for tar.
 *
 * tar names each file by its whole path, and the system accepts 4,095 bytes. A symbolic link at the root therefore
 * replaces the first part of a long path, and the member is called `./SHORTCUT-0/rest`. A link may use another one. The
 * links only point to directories of the archive, and the caller removes them after tar has ended.
 */
import { MAX_LINK_TARGET, MAX_PATH, MAX_SHORTCUT } from '../../archive/tar/long-paths.ts';
import type { NewMember } from '../../archive/tar/tar-writer.ts';
import { pathOfMember } from '../disk-tree.ts';

export class Shortcuts {
  readonly #prefix: string;
  /** Names of the links by the directory that they point to. */
  readonly #known = new Map<string, string>();
  #made: NewMember[] = [];

  /** @param prefix the start of the names of the links. No name in the archive may start with it. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** @returns the links that must be created first, and the member with a name that tar accepts. */
  shorten(member: NewMember): { links: NewMember[]; member: NewMember } {
    const path = this.#shortened(member.path);
    const target = member.type === 'hardlink' ? this.#shortened(member.target) : member.target;
    const links = this.#made;
    this.#made = [];
    return { links, member: { ...member, path, target } };
  }

  #shortened(name: Buffer): Buffer {
    if (name.length <= MAX_PATH) return name;
    let path = pathOfMember(name)?.toString('latin1') ?? '';
    while (path.length > MAX_PATH) {
      const cut = path.lastIndexOf('/', MAX_LINK_TARGET);
      if (cut <= MAX_SHORTCUT) return name;
      path = this.#linkTo(path.slice(0, cut)) + path.slice(cut);
    }
    return Buffer.from(`./${path}`, 'latin1');
  }

  #linkTo(directory: string): string {
    const known = this.#known.get(directory);
    if (known !== undefined) return known;
    const name = `${this.#prefix}${this.#known.size}`;
    this.#known.set(directory, name);
    this.#made.push({ ...LINK, path: Buffer.from(`./${name}`), target: Buffer.from(directory, 'latin1') });
    return name;
  }
}

const LINK: Omit<NewMember, 'path' | 'target'> = {
  type: 'symlink',
  size: 0n,
  mode: 0o777,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mtime: 0n,
  device: { major: 0, minor: 0 },
  xattrs: new Map(),
  rights: {},
  isSparse: false,
  segments: [],
};
