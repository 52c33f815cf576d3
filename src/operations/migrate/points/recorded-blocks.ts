/** What was recorded about the blocks of a generation while they were stored. */
import { HASH_BYTES } from '../../../archive/block-table.ts';
import type { StoredPack } from '../../../archive/points/block-list.ts';
import { SnapError } from '../../../errors.ts';
import type { PlacedBlock } from '../../../transfer/block-image.ts';
import { isZeroBlock } from '../../source/snapshot-image.ts';

export class RecordedBlocks {
  /** The blocks in ascending order. */
  readonly indexes: Uint32Array;
  readonly hashes: Uint8Array;
  /** The places of their frames within their packs. */
  readonly places: Float64Array;
  readonly packs: StoredPack[] = [];
  /** 1 for the blocks that are zeros, by their positions in `indexes`. */
  readonly zeros: Uint8Array;
  #next = 0;

  constructor(indexes: Uint32Array) {
    this.indexes = indexes;
    this.hashes = new Uint8Array(indexes.length * HASH_BYTES);
    this.places = new Float64Array(indexes.length);
    this.zeros = new Uint8Array(indexes.length);
  }

  /** Records the next block. */
  add({ block: { bytes, sha256 } }: PlacedBlock): void {
    this.hashes.set(Buffer.from(sha256, 'base64'), this.#next * HASH_BYTES);
    if (isZeroBlock(bytes)) this.zeros[this.#next] = 1;
    this.#next++;
  }

  /**
   * Adds a pack whose blocks have all been recorded.
   * @throws SnapError `BUG` if a block is missing, or if the frames are not at ascending places within the pack.
   */
  addPack(pack: StoredPack): void {
    const { first, end, bytes, cipher, key } = pack;
    let isComplete = this.#next === end;
    for (let at = first; at < end && cipher === 'none'; at++) {
      const [place = -1, next = bytes] = [this.places[at], at + 1 < end ? this.places[at + 1] : bytes];
      if (!(place < next) || (at === first && place !== 0)) isComplete = false;
    }
    if (!isComplete) throw new SnapError('BUG', `${key}: the recorded blocks are not those of the pack`);
    this.packs.push(pack);
  }
}
