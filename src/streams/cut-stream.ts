/** Some members of a tar, cut out of a longer stream: together they are a tar again. */
import type { NextChunk } from '../archive/byte-stream.ts';
import { TAR_END } from '../archive/tar-writer.ts';

/** Bytes of the stream that are left out, and those that are taken behind them. */
export interface Cut {
  skip: number;
  take: number;
}

/** What lies behind the last cut is read, too. A stream that is too short ends early, without the mark of its end. */
export function cutOut(next: NextChunk, cuts: readonly Cut[]): NextChunk {
  const pieces = pickPieces(next, cuts);
  return () => pieces.next().value ?? EMPTY;
}

const EMPTY = Buffer.alloc(0);

function* pickPieces(next: NextChunk, cuts: readonly Cut[]): Generator<Buffer> {
  let chunk: Buffer = EMPTY;
  let isAtEnd = false;
  const some = (most: number): Buffer => {
    if (chunk.length === 0 && !isAtEnd) chunk = next();
    isAtEnd ||= chunk.length === 0;
    const bytes = chunk.subarray(0, most);
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
