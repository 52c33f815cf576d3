/** Finds the files that an interrupted restore has already restored correctly, by comparing them with the index. */
import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { IndexedMember } from '../../../archive/file-index.ts';

const CHUNK_BYTES = 1024 * 1024;

const SET_IDS = 0o6000;

/** A file with the right time is complete, because tar sets the time last. All doubtful files are restored again. */
export class RestoredBefore {
  readonly #directory: string;
  readonly #isPrivileged: boolean;
  readonly #isRoot: boolean;
  readonly #signal: AbortSignal;
  files = 0;
  bytes = 0;

  /** @param directory the target of an unfinished restore of the same object. */
  constructor(directory: string, isPrivileged: boolean, signal: AbortSignal) {
    this.#signal = signal;
    this.#directory = directory;
    this.#isPrivileged = isPrivileged;
    this.#isRoot = process.geteuid?.() === 0;
  }

  /** @param path its bytes, without `.` and `..`. */
  async has(path: Buffer, member: IndexedMember): Promise<boolean> {
    const { type, size, data, xattrs, rights } = member;
    const isPlain =
      type === 'file' &&
      data !== null &&
      BigInt(data.bytes) === size &&
      xattrs.size === 0 &&
      Object.keys(rights).length === 0;
    if (!isPlain) return false;
    const file = Buffer.concat([Buffer.from(join(this.#directory, '/')), path]);
    const stat = await lstat(file, { bigint: true }).catch(() => null);
    if (!stat?.isFile() || !this.#fits(stat, member)) return false;
    if ((await hashOf(file, this.#signal)) !== data.sha256) return false;
    this.files++;
    this.bytes += data.bytes;
    return true;
  }

  #fits({ size, mtimeNs, mode, uid, gid }: BigIntStats, member: IndexedMember): boolean {
    const isReduced = !this.#isPrivileged && (member.mode & SET_IDS) !== 0;
    const isOwners = !this.#isRoot || (uid === BigInt(member.uid) && gid === BigInt(member.gid));
    return (
      !isReduced &&
      isOwners &&
      size === member.size &&
      mtimeNs === member.mtime &&
      Number(mode & 0o7777n) === member.mode
    );
  }
}

async function hashOf(file: Buffer, signal: AbortSignal): Promise<string | null> {
  await using handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => null);
  if (!handle) return null;
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(CHUNK_BYTES);
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
  }
}
