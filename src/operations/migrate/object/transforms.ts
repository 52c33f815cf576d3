/** The transforms of an object: its plain bytes are indexed, compressed and encrypted. */
import { encryptCommand } from '../../../archive/cipher.ts';
import { type CodecCounts, compressCommand } from '../../../archive/codec.ts';
import type { IndexingReport } from '../../../indexing/indexing-order.ts';
import type { Part } from '../../../transfer/part-reader.ts';
import type { Stage, StageReport } from '../../../transfer/pipeline.ts';
import { encryptedParts } from './encrypt.ts';
import type { ObjectOrder } from './object-order.ts';
import { checkCounts } from './stream-counts.ts';

export interface Transforms {
  readonly stages: readonly Stage[];
  /** Passes on the parts from the last stage. @throws SnapError `STAGE_FAILED` before the first one. */
  watch(parts: AsyncIterable<Part>): AsyncIterable<Part>;
  /**
   * Checks that each stage has passed on all bytes. Call it after all stages have exited with 0.
   * @param counted the number of produced bytes and of uploaded bytes.
   * @returns the report of the indexing stage; `null` if there is none.
   * @throws SnapError `COUNT_MISMATCH`
   */
  verdict(reports: readonly StageReport[], counted: CodecCounts): IndexingReport | null;
}

export function transformsOf(order: ObjectOrder): Transforms {
  const { index, codec, encryption } = order;
  return {
    stages: [
      ...(index ? [index.stage] : []),
      ...(index?.isCompressing ? [] : [{ name: codec.name, argv: compressCommand(codec) }]),
      ...(encryption ? [{ name: 'gpg', argv: encryptCommand(encryption) }] : []),
    ],
    watch(parts) {
      const watched = index ? index.watch(parts) : parts;
      return encryption ? encryptedParts(watched) : watched;
    },
    verdict(reports, counted) {
      const indexed = index?.report() ?? null;
      checkCounts(order, reports, indexed, counted);
      return indexed;
    },
  };
}
