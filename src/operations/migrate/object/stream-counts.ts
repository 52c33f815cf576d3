/** Compares the byte counts of the stages of a pipeline. */
import { lengthProblem } from '../../../archive/cipher.ts';
import { type CodecCounts, readCounts } from '../../../archive/codec.ts';
import { SnapError } from '../../../errors.ts';
import type { IndexingReport } from '../../../indexing/indexing-order.ts';
import type { StageReport } from '../../../transfer/pipeline.ts';
import type { ObjectOrder } from './object-order.ts';

export const reportOf = (reports: readonly StageReport[], name: string): string =>
  reports.find((report) => report.name === name)?.stderrTail ?? '';

/**
 * Checks that the compressor read the produced bytes, and that its output was uploaded.
 * @param indexed the report of the indexing stage; `null` if there is none.
 * @param counted the number of produced bytes and of uploaded bytes.
 * @throws SnapError `COUNT_MISMATCH`
 */
export function checkCounts(
  order: ObjectOrder,
  reports: readonly StageReport[],
  indexed: IndexingReport | null,
  counted: CodecCounts,
): void {
  const { name } = order.codec;
  const { plainBytes: producedBytes, storedBytes: uploadedBytes } = counted;
  if (indexed && indexed.plainBytes !== producedBytes) {
    throw mismatch(order, `${indexed.plainBytes} of ${producedBytes} bytes were indexed`);
  }
  const compressor = compressorCounts(order, reports, indexed);
  if (compressor && compressor.plainBytes !== producedBytes) {
    throw mismatch(order, `${name} read ${compressor.plainBytes} bytes of ${producedBytes}`);
  }
  if (compressor && !order.encryption && compressor.storedBytes !== uploadedBytes) {
    throw mismatch(order, `${name} wrote ${compressor.storedBytes} bytes, ${uploadedBytes} were uploaded`);
  }
  const problem =
    compressor && order.encryption && lengthProblem(compressor.storedBytes, uploadedBytes, order.encryption);
  if (problem) throw mismatch(order, problem);
}

/** Uses the counts of the indexing stage if it compresses the stream. */
function compressorCounts(
  { codec, index }: ObjectOrder,
  reports: readonly StageReport[],
  indexed: IndexingReport | null,
): CodecCounts | null {
  if (!indexed || !index?.isCompressing) return readCounts(codec.name, reportOf(reports, codec.name));
  return { plainBytes: indexed.plainBytes, storedBytes: indexed.passedBytes };
}

export const mismatch = (order: ObjectOrder, what: string): SnapError =>
  new SnapError('COUNT_MISMATCH', `${order.facts.key}: ${what}; nothing was stored`, {
    hint: 'run the command again; if it persists, look for read errors in dmesg and report it',
  });
