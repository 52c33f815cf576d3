/** Whether the witnesses of a stream agree on how long it is. */
import { readCounts } from '../archive/codec.ts';
import { SnapError } from '../errors.ts';
import type { StageReport } from '../transfer/pipeline.ts';
import type { ObjectOrder } from './store-object.ts';

export const reportOf = (reports: readonly StageReport[], name: string): string =>
  reports.find((report) => report.name === name)?.stderrTail ?? '';

/**
 * What went into the compressor is what was produced, and what came out of it is what was uploaded.
 * @throws SnapError `COUNT_MISMATCH`
 */
export function checkCounts(
  order: ObjectOrder,
  reports: readonly StageReport[],
  producedBytes: number,
  uploadedBytes: number,
): void {
  const { name } = order.codec;
  const compressor = readCounts(name, reportOf(reports, name));
  if (compressor && compressor.plainBytes !== producedBytes) {
    throw mismatch(order, `${name} read ${compressor.plainBytes} bytes of ${producedBytes}`);
  }
  if (compressor && !order.encryption && compressor.storedBytes !== uploadedBytes) {
    throw mismatch(order, `${name} wrote ${compressor.storedBytes} bytes, ${uploadedBytes} were uploaded`);
  }
}

export const mismatch = (order: ObjectOrder, what: string): SnapError =>
  new SnapError('COUNT_MISMATCH', `${order.facts.key}: ${what}; nothing was stored`, {
    hint: 'run the command again; if it persists, look for read errors in dmesg and report it',
  });
