/** Documents of JSON lines, compressed with zstd. They are held in memory, compressed and decompressed. */
import { createZstdCompress, type ZstdOptions, zstdDecompress } from 'node:zlib';
import { sleep } from '../lib/clock.ts';
import { MiB } from '../lib/units.ts';

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

/** Lines to parse before yielding to other tasks. */
const LINES_PER_TURN = 4096;

/**
 * Parses a document. It is untrusted input and may be 1 GiB long, so the parser yields regularly to other tasks, such as
 * the renewal of claims.
 * @param body the compressed document: one or several zstd frames.
 * @param maximum bytes of the decompressed document.
 * @throws Error if it is damaged or truncated within a line; the reason of the signal.
 */
export async function* readJsonLines<T>(body: Uint8Array, maximum: number, signal: AbortSignal): AsyncGenerator<T> {
  const text = await decompressFrames(body, maximum, signal);
  let count = 0;
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    if (end < 0) throw new Error('the last line is truncated');
    if (++count % LINES_PER_TURN === 0) await sleep(0, signal);
    yield JSON.parse(text.toString('utf8', start, end)) as T;
    start = end + 1;
  }
}

/** Decompresses all frames, because `zstdDecompress` stops after the first one. */
async function decompressFrames(body: Uint8Array, maximum: number, signal: AbortSignal): Promise<Buffer> {
  const plain: Buffer[] = [];
  let room = maximum;
  for (let rest = body; rest.length > 0 || plain.length === 0; ) {
    const { buffer, engine } = await decompressFrame(rest, room);
    signal.throwIfAborted();
    plain.push(buffer);
    room -= buffer.length;
    rest = rest.subarray(engine.bytesWritten);
  }
  const [only = Buffer.alloc(0), ...others] = plain;
  return others.length === 0 ? only : Buffer.concat(plain);
}

/** Decompresses in a thread of the pool. @param maximum bytes of the result */
function decompressFrame(bytes: Uint8Array, maximum: number): Promise<Decoded> {
  const options: ZstdOptions = { maxOutputLength: maximum, info: true, chunkSize: MiB };
  return new Promise((resolve, reject) => {
    zstdDecompress(bytes, options, (error, decoded) => {
      if (error) reject(error);
      else resolve(decoded as unknown as Decoded);
    });
  });
}

/**
 * The result with the option `info`, which the types of Node lack. `bytesWritten` counts the input of the decompressor.
 */
interface Decoded {
  buffer: Buffer;
  engine: { bytesWritten: number };
}
