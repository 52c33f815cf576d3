/** Extracts some members from a longer tar stream as a new tar. */
import type { NextChunk } from '../../archive/byte-stream.ts';
import { TAR_END } from '../../archive/tar/tar-writer.ts';

/** Bytes of the stream to skip, and then bytes to take. */
export interface Cut {
  skip: number;
  take: number;
}

/**
 * Returns the selected bytes, followed by an end mark. The rest of the stream is read as well. If the stream is too
 * short, the result ends early and without an end mark.
 */
export function selectParts(next: NextChunk, cuts: readonly Cut[]): NextChunk {
  const selected = bytesOf(next, cuts);
  return () => selected.next().value ?? EMPTY;
}

const EMPTY = Buffer.alloc(0);

function* bytesOf(next: NextChunk, cuts: readonly Cut[]): Generator<Buffer> {
  let chunk: Buffer = EMPTY;
  let isAtEnd = false;
  const some = (maximum: number): Buffer => {
    if (chunk.length === 0 && !isAtEnd) chunk = next();
    isAtEnd ||= chunk.length === 0;
    const bytes = chunk.subarray(0, maximum);
    chunk = chunk.subarray(bytes.length);
    return bytes;
  };
  for (const { skip, take } of cuts) {
    for (let rest = skip; rest > 0 && !isAtEnd; ) rest -= some(rest).length;
    for (let rest = take; rest > 0 && !isAtEnd; ) {
      const bytes = some(rest);
      rest -= bytes.length;
      if (bytes.length > 0) yield bytes;
    }
  }
  const isWhole = !isAtEnd;
  while (!isAtEnd) some(Number.POSITIVE_INFINITY);
  if (isWhole) yield TAR_END;
}
