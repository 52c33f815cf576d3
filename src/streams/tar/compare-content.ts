/** Compares the content of a file in a tar with that of the file on disk. */
import { readSync } from 'node:fs';
import type { ByteStream } from '../../archive/byte-stream.ts';
import { TarError, type TarMember } from '../../archive/tar/tar-member.ts';
import { AllocatedParts, type FilePart, type MapperEnds } from '../allocated-parts.ts';

const CHUNK_BYTES = 1024 * 1024;
const CHUNK_SIZE = BigInt(CHUNK_BYTES);

/** Reading such a hole takes no longer than asking whether it is allocated. */
const SMALL_HOLE = 4n * CHUNK_SIZE;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

export class ContentComparison {
  readonly #stream: ByteStream;
  readonly #allocated: AllocatedParts;
  readonly #scratch = Buffer.allocUnsafeSlow(CHUNK_BYTES);

  /** @param mapper for asking which parts of files are allocated; `null` reads holes completely. */
  constructor(stream: ByteStream, mapper: MapperEnds | null) {
    this.#stream = stream;
    this.#allocated = new AllocatedParts(mapper);
  }

  /** @returns the approximate position of the first difference, or `null`. The content is read in both cases. */
  compare(descriptor: number, { segments, size }: TarMember): bigint | null {
    let different: bigint | null = null;
    let position = 0n;
    for (const { offset, length } of [...segments, { offset: size, length: 0 }]) {
      if (different === null) different = this.#compareHole(descriptor, position, offset);
      for (let done = 0; done < length; ) {
        const bytes = this.#stream.some(Math.min(length - done, CHUNK_BYTES));
        if (bytes.length === 0) throw new TarError('the tar ends within a file');
        const at = offset + BigInt(done);
        if (different === null && !this.#isOnDisk(descriptor, at, bytes)) different = at;
        done += bytes.length;
      }
      position = offset + BigInt(length);
    }
    return different;
  }

  /** In a large hole, only the allocated parts of the file on disk are read, because the rest cannot contain data. */
  #compareHole(descriptor: number, from: bigint, to: bigint): bigint | null {
    if (to - from <= SMALL_HOLE) return this.#compareZeros(descriptor, { from, to });
    for (const part of this.#allocated.within(descriptor, { from, to })) {
      const at = this.#compareZeros(descriptor, part);
      if (at !== null) return at;
    }
    return null;
  }

  #compareZeros(descriptor: number, { from, to }: FilePart): bigint | null {
    for (let at = from; at < to; at += CHUNK_SIZE) {
      const length = Math.min(CHUNK_BYTES, Number(to - at));
      if (!this.#isOnDisk(descriptor, at, ZEROS.subarray(0, length))) return at;
    }
    return null;
  }

  #isOnDisk(descriptor: number, position: bigint, bytes: Buffer): boolean {
    const target = this.#scratch.subarray(0, bytes.length);
    let filled = 0;
    while (filled < target.length) {
      const length = readSync(descriptor, target, filled, target.length - filled, position + BigInt(filled));
      if (length === 0) return false;
      filled += length;
    }
    return target.equals(bytes);
  }
}
