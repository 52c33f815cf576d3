/** Sources of reports, and their file type, which the first bytes show, whatever the name. */

/** A file of a report. */
export interface ReportSource {
  /** The name in messages: a path, an `s3://` URI, or `standard input`. */
  name: string;
  /** Stored size in bytes; `null` if not known in advance. */
  bytes: number | null;
  /** Path of a local file, which allows random access; `null` for streams. */
  path: string | null;
  /** Reads the whole file; may be called once. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

export type FileKind = 'gzip' | 'zip' | 'parquet' | 'text';

function kindOf(start: Uint8Array): FileKind {
  const isAt = (...bytes: number[]): boolean => bytes.every((byte, at) => start[at] === byte);
  if (isAt(0x1f, 0x8b)) return 'gzip';
  if (isAt(0x50, 0x4b, 0x03, 0x04) || isAt(0x50, 0x4b, 0x05, 0x06)) return 'zip';
  return isAt(0x50, 0x41, 0x52, 0x31) ? 'parquet' : 'text';
}

/** Length in bytes of the longest magic number. */
const MAGIC = 4;

/** @returns the file type, and the complete stream, including the bytes that were examined. */
export async function sniff(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ kind: FileKind; all: AsyncGenerator<Uint8Array> }> {
  const rest = chunks[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  for (let bytes = 0; bytes < MAGIC; ) {
    const next = await rest.next();
    if (next.done) break;
    held.push(next.value);
    bytes += next.value.length;
  }
  return { kind: kindOf(Buffer.concat(held).subarray(0, MAGIC)), all: replay(held, rest) };
}

async function* replay(held: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* held;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
