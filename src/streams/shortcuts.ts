/**
 * Paths that are longer than a system call takes, made short enough for tar.
 *
 * tar names each file by its whole path, and the system takes 4,095 bytes of one. So a symbolic link at the root leads to
 * the first part of a long path, and the member is named by way of the link: `./SHORTCUT-0/rest`. A link can lead through
 * another one. Links lead to directories of the archive only, and whoever starts tar removes them when it has ended.
 */
import { MAX_LINK_TARGET, MAX_PATH, MAX_SHORTCUT } from '../archive/long-paths.ts';
import type { NewMember } from '../archive/tar-writer.ts';
import { pathOfMember } from './disk-tree.ts';

export class Shortcuts {
  readonly #prefix: string;
  /** By the directory that it leads to. */
  readonly #known = new Map<string, string>();
  #made: NewMember[] = [];

  /** @param prefix of the names of the links, which nothing in the archive has. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** @returns the links that have to be there before it, and the member by a name that tar can use. */
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
