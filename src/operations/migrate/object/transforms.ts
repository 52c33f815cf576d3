/** The transforms of an object: its plain bytes are indexed, compressed and encrypted. */
import { encryptCommand } from '../../../archive/cipher.ts';
import type { IndexingReport } from '../../../indexing/indexing-order.ts';
import type { Part } from '../../../transfer/part-reader.ts';
import type { Stage } from '../../../transfer/pipeline.ts';
import { encryptedParts } from './encrypt.ts';
import type { ObjectOrder } from './object-order.ts';
import { checkCounts } from './stream-counts.ts';
import type { StreamIndex } from './stream-index.ts';

export interface Transforms {
  readonly stages: readonly Stage[];
  /** Passes on the parts from the last stage. @throws SnapError `STAGE_FAILED` before the first one. */
  watch(parts: AsyncIterable<Part>): AsyncIterable<Part>;
  /**
   * Checks that each stage has passed on all bytes. Call it after all stages have exited with 0.
   * @param producedBytes the number of plain bytes. @param uploadedBytes the number of stored bytes.
   * @returns the report of the stage that indexes and compresses.
   * @throws SnapError `COUNT_MISMATCH`
   */
  verdict(producedBytes: number, uploadedBytes: number): IndexingReport;
}

/** The last transform: gpg, or nothing. */
export function encryptionOf({ encryption }: ObjectOrder): Pick<Transforms, 'stages' | 'watch'> {
  if (!encryption) return { stages: [], watch: (parts) => parts };
  return { stages: [{ name: 'gpg', argv: encryptCommand(encryption) }], watch: encryptedParts };
}

export function transformsOf(order: ObjectOrder, index: StreamIndex): Transforms {
  const { stages, watch } = encryptionOf(order);
  return {
    stages: [index.stage, ...stages],
    watch,
    verdict(producedBytes, uploadedBytes) {
      const report = index.report();
      const compressed = { plainBytes: report.plainBytes, storedBytes: report.passedBytes };
      checkCounts(order, producedBytes, compressed, uploadedBytes);
      return report;
    },
  };
}
