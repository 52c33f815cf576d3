/** Reads the blocks of an image, and compresses them in threads. Every frame can be decoded by itself. */
import type { UploadCheckpoint } from '../../../archive/claim.ts';
import { SnapError } from '../../../errors.ts';
import type { Frame, FrameCompressor } from '../../../indexing/frame-compressor.ts';
import { isCommandFailure } from '../../../indexing/lz4-command.ts';
import { nextTurn, sleep } from '../../../lib/clock.ts';
import { MiB } from '../../../lib/units.ts';
import type { BlockImage } from '../../../transfer/block-image.ts';
import type { Content } from './content.ts';

export type Blocks = Extract<Content, { kind: 'blocks' }>;

export interface FrameOptions {
  content: Blocks;
  isEncrypted: boolean;
  /** Aborted when the frames are no longer needed. */
  signal: AbortSignal;
}

/** After this many frames of zeros, other work of this process gets a turn. They need no waiting by themselves. */
const ZEROS_PER_TURN = 64;

/** Plain bytes between two places in a run of zeros. A restore that writes zeros resumes at a place. */
const PLACE_INTERVAL_IN_ZEROS = 256 * MiB;

/** Milliseconds within which this process notices a signal that it shares with its commands. */
const NOTICE_INTERRUPTION = 100;

/** The frames of an image, in order. Later blocks are read and compressed at the same time. */
export class ImageFrames {
  readonly #image: BlockImage;
  readonly #compressor: FrameCompressor;
  readonly #options: FrameOptions;
  /** Plain bytes that the compressor has read for the frames that were taken, and the bytes up to there in the object. */
  plainBytes: number;
  storedBytes: number;
  #isAfterZeros = false;
  readonly #reading: Promise<void>;

  /** @param from the checkpoint at which the image starts. */
  constructor(image: BlockImage, compressor: FrameCompressor, from: UploadCheckpoint, options: FrameOptions) {
    this.#image = image;
    this.#compressor = compressor;
    this.#options = options;
    this.plainBytes = from.plainBytes;
    this.storedBytes = from.storedBytes;
    this.#reading = this.#readAhead().catch((error) => this.#compressor.fail(error));
  }

  /** Settles when no more blocks are read. */
  ended(): Promise<void> {
    return this.#reading;
  }

  /** Whether all frames were taken. */
  get isComplete(): boolean {
    return this.plainBytes === this.#image.bytes;
  }

  /** Yields the frames of the image up to a byte of the disk. The bytes of a frame are valid until the next one is taken. */
  async *upTo(end: number): AsyncGenerator<Buffer> {
    while (this.plainBytes < Math.min(end, this.#image.bytes)) {
      const frame = await this.#compressor.first().catch((error) => this.#blameCommand(error));
      this.#notePlace(frame);
      this.plainBytes += frame.plainBytes;
      this.storedBytes += frame.bytes.length;
      yield frame.bytes;
      this.#compressor.drop();
    }
  }

  async #readAhead(): Promise<void> {
    const { bytes } = this.#image;
    const { frameBytes } = this.#options.content;
    let zeros = 0;
    while (this.#image.position < bytes) {
      const { position } = this.#image;
      const length = Math.min(frameBytes - (position % frameBytes), bytes - position);
      const isData = await this.#image.read(await this.#compressor.room(length));
      if (isData) this.#compressor.add(length);
      else this.#compressor.addZeros(length);
      if (!isData && ++zeros % ZEROS_PER_TURN === 0) await nextTurn(this.#options.signal);
    }
  }

  /** Nothing can be decrypted from a place within a message. */
  #notePlace({ isZero }: Frame): void {
    const { content, isEncrypted } = this.#options;
    const isWithinZeros = isZero && this.#isAfterZeros && this.plainBytes % PLACE_INTERVAL_IN_ZEROS !== 0;
    if (!isEncrypted && !isWithinZeros) content.onFrame(this.plainBytes, this.storedBytes);
    this.#isAfterZeros = isZero;
  }

  /** @throws SnapError `STAGE_FAILED` if a compressing command has failed by itself; every other error unchanged. */
  async #blameCommand(error: unknown): Promise<never> {
    if (!isCommandFailure(error)) throw error;
    // Ctrl+C in a terminal also ends the command, and its end may be noticed first.
    await sleep(NOTICE_INTERRUPTION, this.#options.signal);
    throw new SnapError('STAGE_FAILED', error.message, {
      hint: 'nothing was stored; resolve the cause that the command reports, then run the same command again',
      cause: error,
    });
  }
}
