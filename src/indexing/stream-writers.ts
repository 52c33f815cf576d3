/** Where the bytes go that have been looked at: on as they are, or as frames of zstd that can be decoded one by one. */
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { encodePlace } from '../archive/file-index.ts';
import { writeWhole } from '../lib/bytes/write-whole.ts';
import { LineFile } from './line-file.ts';

export interface StreamWriter {
  /** Bytes that have been written so far. */
  readonly passedBytes: number;
  /** The bytes are not needed afterwards. */
  put(bytes: Buffer): Promise<void>;
  /** Everything is written then. */
  end(): Promise<void>;
}

export class PlainWriter implements StreamWriter {
  readonly #descriptor: number;
  passedBytes = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  async put(bytes: Buffer): Promise<void> {
    writeWhole(this.#descriptor, bytes);
    this.passedBytes += bytes.length;
  }

  async end(): Promise<void> {}
}

/** Plain bytes of a frame: what has to be fetched and decoded for one small file. */
const FRAME = 4 * 1024 * 1024;

/** As many as there are threads for them, and some that are ready. */
const MAX_RUNNING = 6;

const compress = promisify(zstdCompress);

export class ZstdFrameWriter implements StreamWriter {
  readonly #descriptor: number;
  readonly #places: LineFile;
  readonly #options: Parameters<typeof compress>[1];
  #frame = Buffer.allocUnsafe(FRAME);
  #filled = 0;
  #plain = 0;
  readonly #running: Promise<Buffer>[] = [];
  passedBytes = 0;

  constructor(descriptor: number, level: number, placesFile: string) {
    this.#descriptor = descriptor;
    this.#places = new LineFile(placesFile);
    const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = constants;
    this.#options = { params: { [ZSTD_c_compressionLevel]: level, [ZSTD_c_checksumFlag]: 1 } };
  }

  async put(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const count = bytes.copy(this.#frame, this.#filled, done);
      done += count;
      this.#filled += count;
      if (this.#filled === FRAME) await this.#start();
    }
  }

  async end(): Promise<void> {
    if (this.#filled > 0) await this.#start();
    while (this.#running.length > 0) await this.#writeFirst();
    this.#places.add(encodePlace({ plain: this.#plain, stored: this.passedBytes }));
    this.#places.finish();
    this.#places[Symbol.dispose]();
  }

  async #start(): Promise<void> {
    const frame = compress(this.#frame.subarray(0, this.#filled), this.#options);
    frame.catch(() => {});
    this.#running.push(frame);
    this.#frame = Buffer.allocUnsafe(FRAME);
    this.#filled = 0;
    if (this.#running.length > MAX_RUNNING) await this.#writeFirst();
  }

  async #writeFirst(): Promise<void> {
    const frame = await this.#running.shift();
    if (!frame) return;
    this.#places.add(encodePlace({ plain: this.#plain, stored: this.passedBytes }));
    writeWhole(this.#descriptor, frame);
    this.passedBytes += frame.length;
    this.#plain += FRAME;
  }
}
