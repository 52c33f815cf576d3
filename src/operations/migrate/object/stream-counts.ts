/** Compares the byte counts of the stages of a pipeline. */
import { lengthProblem } from '../../../archive/cipher.ts';
import type { CodecCounts } from '../../../archive/codec.ts';
import { SnapError } from '../../../errors.ts';
import type { StageReport } from '../../../transfer/pipeline.ts';
import type { ObjectOrder } from './object-order.ts';

export const reportOf = (reports: readonly StageReport[], name: string): string =>
  reports.find((report) => report.name === name)?.stderrTail ?? '';

/**
 * Checks that the compressor read the produced bytes, and that its output was uploaded.
 * @throws SnapError `COUNT_MISMATCH`
 */
export function checkCounts(
  order: ObjectOrder,
  producedBytes: number,
  compressed: CodecCounts,
  uploadedBytes: number,
): void {
  const { codec, encryption } = order;
  const { plainBytes, storedBytes } = compressed;
  if (plainBytes !== producedBytes)
    throw mismatch(order, `${plainBytes} of ${producedBytes} bytes were compressed with ${codec.name}`);
  if (!encryption && storedBytes !== uploadedBytes)
    throw mismatch(order, `${codec.name} wrote ${storedBytes} bytes, ${uploadedBytes} were uploaded`);
  const problem = encryption && lengthProblem(storedBytes, uploadedBytes, encryption);
  if (problem) throw mismatch(order, problem);
}

export const mismatch = (order: ObjectOrder, what: string): SnapError =>
  new SnapError('COUNT_MISMATCH', `${order.facts.key}: ${what}; nothing was stored`, {
    hint: 'run the command again; if it persists, look for read errors in dmesg and report it',
  });
