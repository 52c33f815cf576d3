/**
 * A mounted filesystem, looked at by paths that an archive names: as bytes, of any depth, and never out of it.
 *
 * Paths are relative to the root, without `.` and `..`. Directories on the way must be directories, not links: a link
 * on the disk may well point to a file of this machine.
 */
import {
  type BigIntStats,
  closeSync,
  constants,
  type Dir,
  lstatSync,
  opendirSync,
  openSync,
  readlinkSync,
} from 'node:fs';

const SLASH = Buffer.from('/');

/** Less than PATH_MAX, with room for what is put before. */
const LONGEST_PATH = 3500;

/** Of a long path, what is opened at once. */
const STEP = LONGEST_PATH / 2;

const REMEMBERED = 10_000;

export interface DiskEntry {
  path: Buffer;
  isFile: boolean;
  isSocket: boolean;
}

export class DiskTree implements Disposable {
  readonly #root: Buffer;
  /** Directories that were found to be directories, all the way down. */
  #directories = new Set<string>(['']);
  /** The last directory that was opened because paths below it are too long. */
  #base: { path: Buffer; descriptor: number } | null = null;

  constructor(root: string) {
    this.#root = Buffer.from(root);
  }

  [Symbol.dispose](): void {
    if (this.#base) closeSync(this.#base.descriptor);
    this.#base = null;
  }

  /** @returns `null` where there is nothing, or the way there leads over something that is no directory. */
  stat(path: Buffer): BigIntStats | null {
    if (!this.#isDirectory(parentOf(path))) return null;
    return this.#lstat(path);
  }

  readLink(path: Buffer): Buffer {
    return readlinkSync(this.#reach(path), { encoding: 'buffer' });
  }

  /** For reading; the caller closes it. */
  open(path: Buffer): number {
    return openSync(this.#reach(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NOCTTY);
  }

  /** Everything below the root, the root included, in the order in which the filesystem lists it. */
  *walk(): Generator<DiskEntry> {
    yield { path: Buffer.alloc(0), isFile: false, isSocket: false };
    const open: { path: Buffer; directory: Dir }[] = [this.#open(Buffer.alloc(0))];
    try {
      for (let last = open.at(-1); last; last = open.at(-1)) {
        const entry = last.directory.readSync();
        if (!entry) {
          open.pop()?.directory.closeSync();
          continue;
        }
        const path = join(last.path, entry.name as unknown as Buffer);
        const kind = entry.isFile() || entry.isDirectory() || entry.isSymbolicLink() ? entry : this.#lstat(path);
        yield { path, isFile: kind?.isFile() ?? false, isSocket: kind?.isSocket() ?? false };
        if (kind?.isDirectory()) open.push(this.#open(path));
      }
    } finally {
      for (const { directory } of open) directory.closeSync();
    }
  }

  #open(path: Buffer): { path: Buffer; directory: Dir } {
    // The declaration knows strings only; bytes are taken and given all the same.
    const encoding = 'buffer' as unknown as BufferEncoding;
    return { path, directory: opendirSync(this.#reach(path) as unknown as string, { encoding, bufferSize: 256 }) };
  }

  #lstat(path: Buffer): BigIntStats | null {
    try {
      return lstatSync(this.#reach(path), { bigint: true, throwIfNoEntry: false }) ?? null;
    } catch (error) {
      // Of a name that no filesystem has.
      if ((error as NodeJS.ErrnoException).code === 'ENAMETOOLONG') return null;
      throw error;
    }
  }

  #isDirectory(path: Buffer): boolean {
    const key = path.toString('latin1');
    if (this.#directories.has(key)) return true;
    if (!this.#isDirectory(parentOf(path)) || !this.#lstat(path)?.isDirectory()) return false;
    if (this.#directories.size >= REMEMBERED) this.#directories = new Set(['']);
    this.#directories.add(key);
    return true;
  }

  /** A path that one system call takes: long ones begin at a directory that is open already. */
  #reach(path: Buffer): Buffer {
    if (this.#root.length + path.length < LONGEST_PATH) {
      return path.length === 0 ? this.#root : Buffer.concat([this.#root, SLASH, path]);
    }
    // The same for all that lies a little deeper, so that the directory stays open.
    const cut = path.lastIndexOf(0x2f, Math.floor(path.length / STEP) * STEP);
    if (cut <= 0) return Buffer.concat([this.#root, SLASH, path]);
    return this.#reachFrom(path.subarray(0, cut), path.subarray(cut + 1));
  }

  /** `far` is short enough; `near` may have to be cut again. */
  #reachFrom(near: Buffer, far: Buffer): Buffer {
    if (!this.#base?.path.equals(near)) {
      const descriptor = openSync(this.#reach(near), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
      if (this.#base) closeSync(this.#base.descriptor);
      this.#base = { path: Buffer.from(near), descriptor };
    }
    return Buffer.concat([Buffer.from(`/proc/self/fd/${this.#base.descriptor}/`), far]);
  }
}

const join = (directory: Buffer, name: Buffer): Buffer =>
  directory.length === 0 ? Buffer.from(name) : Buffer.concat([directory, SLASH, name]);

function parentOf(path: Buffer): Buffer {
  const slash = path.lastIndexOf(0x2f);
  return slash < 0 ? Buffer.alloc(0) : path.subarray(0, slash);
}

/** A member's name as a path below the root; `null` for one that leads out of it. */
export function pathOfMember(name: Buffer): Buffer | null {
  if (name[0] === 0x2f || name.includes(0)) return null;
  const parts = name
    .toString('latin1')
    .split('/')
    .filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? null : Buffer.from(parts.join('/'), 'latin1');
}

/** As members of a tar are called; sockets have no place in one. */
export function typeOf(stat: BigIntStats): string {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'character';
  if (stat.isBlockDevice()) return 'block';
  return stat.isFIFO() ? 'fifo' : 'socket';
}
