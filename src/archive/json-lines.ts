/** Documents of JSON lines, compressed with zstd. Only their compressed form is held in memory as a whole. */
import { createZstdCompress } from 'node:zlib';
import { nextTurn } from '../lib/clock.ts';
import { KiB, MiB } from '../lib/units.ts';
import { decompressFrames } from './zstd-frames.ts';

const LINES_PER_BATCH = 1000;

/** Writes a document line by line. */
export class JsonLinesWriter {
  readonly #stream = createZstdCompress();
  readonly #chunks: Buffer[] = [];
  readonly #ended = Promise.withResolvers<void>();
  /** Lines that wait for the compressor. Few large writes are faster. */
  readonly #lines: string[] = [];

  constructor() {
    this.#stream.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    this.#stream.on('error', (error) => this.#ended.reject(error));
    this.#stream.on('end', () => this.#ended.resolve());
    this.#ended.promise.catch(() => {});
  }

  add(content: object): void {
    this.#lines.push(JSON.stringify(content));
    if (this.#lines.length === LINES_PER_BATCH) this.#compress();
  }

  /** @returns the compressed document. */
  async finish(): Promise<Buffer> {
    this.#compress();
    this.#stream.end();
    await this.#ended.promise;
    return Buffer.concat(this.#chunks);
  }

  #compress(): void {
    this.#stream.write(this.#lines.map((line) => `${line}\n`).join(''));
    this.#lines.length = 0;
  }
}

const NEWLINE = 10;

/** Maximum bytes of a line, so that a document without lines cannot take all memory. */
const MAX_LINE_BYTES = 16 * MiB;

/**
 * Parses a document, and passes each line on. The document is untrusted input and may be 1 GiB long, so it is decompressed
 * and parsed in parts. Between them, other tasks get their turn, such as the renewal of claims.
 * @param body the compressed document: one or several zstd frames.
 * @param maximum bytes of the decompressed document.
 * @throws Error if it is damaged, too long or truncated within a line; what `take` throws; the reason of the signal.
 */
export async function readJsonLines<T>(
  body: Uint8Array,
  maximum: number,
  signal: AbortSignal,
  take: (line: T) => void,
): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  let room = maximum;
  for await (const chunk of decompressFrames(bytesOf(body))) {
    room -= chunk.length;
    if (room < 0) throw new Error('it is too long');
    const text = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = text.lastIndexOf(NEWLINE) + 1;
    for (const lines of pieces(text.subarray(0, end))) {
      for (const line of lines) take(JSON.parse(line) as T);
      await nextTurn(signal);
    }
    rest = text.subarray(end);
    if (rest.length > MAX_LINE_BYTES) throw new Error('a line is too long');
  }
  if (rest.length > 0) throw new Error('the last line is truncated');
}

async function* bytesOf({ buffer, byteOffset, byteLength }: Uint8Array): AsyncGenerator<Buffer> {
  yield Buffer.from(buffer, byteOffset, byteLength);
}

/** Bytes to decode at once. The memory of long strings would be freed late. */
const PIECE_BYTES = 64 * KiB;

/** Yields lines, some at a time. @param text that ends with the end of a line, or is empty. */
function* pieces(text: Buffer): Generator<string[]> {
  for (let start = 0; start < text.length; ) {
    const last = text.subarray(start, start + PIECE_BYTES).lastIndexOf(NEWLINE);
    const end = last < 0 ? text.indexOf(NEWLINE, start) : start + last;
    yield text.toString('utf8', start, end).split('\n');
    start = end + 1;
  }
}
