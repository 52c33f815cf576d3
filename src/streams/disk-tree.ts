/**
 * Accesses a mounted filesystem by paths from an archive, which are bytes and may be of any depth. It never leaves the
 * filesystem.
 *
 * Paths are relative to the root and have no `.` and `..`. Their directories must be directories and not links, because
 * a link may point to a file of this machine.
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

/** Less than PATH_MAX, to leave room for a prefix. */
const MAX_PATH_BYTES = 3500;

/** Maximum bytes of a long path to open in one step. */
const STEP_BYTES = MAX_PATH_BYTES / 2;

const MAX_REMEMBERED = 10_000;

export interface DiskEntry {
  path: Buffer;
  isFile: boolean;
  isSocket: boolean;
}

export class DiskTree implements Disposable {
  readonly #root: Buffer;
  /** Paths that are known to be directories, including all their parents. */
  #directories = new Set<string>(['']);
  /** The directory that was opened last because paths below it are too long. */
  #base: { path: Buffer; descriptor: number } | null = null;

  constructor(root: string) {
    this.#root = Buffer.from(root);
  }

  [Symbol.dispose](): void {
    if (this.#base) closeSync(this.#base.descriptor);
    this.#base = null;
  }

  /** @returns `null` if the path does not exist or one of its parents is not a directory. */
  stat(path: Buffer): BigIntStats | null {
    if (!this.#isDirectory(parentOf(path))) return null;
    return this.#lstat(path);
  }

  readLink(path: Buffer): Buffer {
    return readlinkSync(this.#reach(path), { encoding: 'buffer' });
  }

  /** Opens a file for reading. The caller closes it. */
  open(path: Buffer): number {
    return openSync(this.#reach(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NOCTTY);
  }

  /** Yields the root and everything below it, in the order of the filesystem. */
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
    // The types only allow strings, but Node accepts and returns bytes, too.
    const encoding = 'buffer' as unknown as BufferEncoding;
    return { path, directory: opendirSync(this.#reach(path) as unknown as string, { encoding, bufferSize: 256 }) };
  }

  #lstat(path: Buffer): BigIntStats | null {
    try {
      return lstatSync(this.#reach(path), { bigint: true, throwIfNoEntry: false }) ?? null;
    } catch (error) {
      // The name is too long for any filesystem.
      if ((error as NodeJS.ErrnoException).code === 'ENAMETOOLONG') return null;
      throw error;
    }
  }

  #isDirectory(path: Buffer): boolean {
    const key = path.toString('latin1');
    if (this.#directories.has(key)) return true;
    if (!this.#isDirectory(parentOf(path)) || !this.#lstat(path)?.isDirectory()) return false;
    if (this.#directories.size >= MAX_REMEMBERED) this.#directories = new Set(['']);
    this.#directories.add(key);
    return true;
  }

  /** Returns a path for one system call. A long path starts at an open directory. */
  #reach(path: Buffer): Buffer {
    if (this.#root.length + path.length < MAX_PATH_BYTES) {
      return path.length === 0 ? this.#root : Buffer.concat([this.#root, SLASH, path]);
    }
    // The cut is the same for all paths that are a little deeper, so the directory can stay open.
    const cut = path.lastIndexOf(0x2f, Math.floor(path.length / STEP_BYTES) * STEP_BYTES);
    if (cut <= 0) return Buffer.concat([this.#root, SLASH, path]);
    return this.#reachFrom(path.subarray(0, cut), path.subarray(cut + 1));
  }

  /** `far` is short enough. `near` may have to be cut again. */
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

/** Converts the name of a member to a path below the root; `null` if the name points outside of it. */
export function pathOfMember(name: Buffer): Buffer | null {
  if (name[0] === 0x2f || name.includes(0)) return null;
  const parts = name
    .toString('latin1')
    .split('/')
    .filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? null : Buffer.from(parts.join('/'), 'latin1');
}

/** Returns the type as in tars. Tars do not have sockets. */
export function typeOf(stat: BigIntStats): string {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'character';
  if (stat.isBlockDevice()) return 'block';
  return stat.isFIFO() ? 'fifo' : 'socket';
}
