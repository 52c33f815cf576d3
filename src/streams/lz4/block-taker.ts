/** Takes plain bytes from the ring. It decodes blocks while the other thread lags behind. */
import { finishChecksum, STRIPE_BYTES } from '../../lib/bytes/xxh32.ts';
import { type BlockRing, BROKEN, EMPTY, ENDED, FRAME_ENDED, READY, SLOTS } from './block-ring.ts';

const NOTHING = Buffer.alloc(0);

export class BlockTaker {
  readonly #ring: BlockRing;
  readonly #withChecksum: boolean;
  #block = 0;
  #isHeld = false;
  #total = 0;
  /** Bytes after the last whole stripe. */
  #rest = NOTHING;
  /** Why the stream ended early; `null` if it did not. The reading thread may know more. */
  problem: string | null = null;

  /** @param withChecksum whether to compare the content of each frame with its checksum. */
  constructor(ring: BlockRing, withChecksum: boolean) {
    this.#ring = ring;
    this.#withChecksum = withChecksum;
  }

  /** @returns the plain bytes of the next block, valid until the next call; none at the end of the stream. */
  next(): Buffer {
    if (this.#isHeld) this.#ring.put(this.#block++, EMPTY);
    this.#isHeld = false;
    while (this.problem === null) {
      const held = this.#ring.holds(this.#block);
      if (held === READY) return this.#take();
      if (held === ENDED) return NOTHING;
      if (held === BROKEN) this.#giveUp('a block cannot be decoded');
      else if (held === FRAME_ENDED) this.#endFrame();
      else if (!this.#ring.decodeOne(this.#block, this.#block + SLOTS)) this.#ring.wait(this.#block, held);
    }
    return NOTHING;
  }

  #take(): Buffer {
    this.#isHeld = true;
    const bytes = this.#ring.plain(this.#block);
    if (this.#withChecksum) this.#mix(bytes);
    return bytes;
  }

  #mix(bytes: Buffer): void {
    this.#total += bytes.length;
    const used = this.#rest.length === 0 ? 0 : this.#mixRest(bytes);
    this.#ring.coder.mix(this.#ring.plainAt(this.#block) + used, bytes.length - used);
    const left = (bytes.length - used) % STRIPE_BYTES;
    if (left > 0) this.#rest = Buffer.from(bytes.subarray(bytes.length - left));
  }

  /** Completes a stripe that began in the previous block. @returns the number of bytes used for it */
  #mixRest(bytes: Buffer): number {
    const used = Math.min(STRIPE_BYTES - this.#rest.length, bytes.length);
    const stripeBytes = Buffer.concat([this.#rest, bytes.subarray(0, used)]);
    const stripe = this.#ring.stripe();
    stripeBytes.copy(stripe.bytes);
    if (stripeBytes.length === STRIPE_BYTES) this.#ring.coder.mix(stripe.at, STRIPE_BYTES);
    this.#rest = stripeBytes.length === STRIPE_BYTES ? NOTHING : stripeBytes;
    return used;
  }

  #endFrame(): void {
    const stored = this.#ring.checksum(this.#block);
    const { coder } = this.#ring;
    const isDifferent = stored !== null && stored !== finishChecksum(coder.lanes(), this.#total, this.#rest);
    if (this.#withChecksum && isDifferent) {
      this.#giveUp('its content does not match its checksum');
      return;
    }
    coder.resetLanes();
    this.#total = 0;
    this.#rest = NOTHING;
    this.#ring.put(this.#block++, EMPTY);
  }

  #giveUp(problem: string): void {
    this.problem = problem;
    this.#ring.abandon();
  }
}
