/** Errors as text and as JSON. */
import type { ExitCode, SnapError } from '../../errors.ts';
import { paint, type Stream } from './paint.ts';

/**
 * Returns the message and the hint, followed by the stack of the cause if the error is a bug of this program; or one JSON
 * record.
 */
export function renderError(error: SnapError, asJson: boolean, stream: Stream): string {
  if (asJson) return `${JSON.stringify(errorRecord(error))}\n`;
  const lines = [`${paint(stream, 'red', 'error')}: ${error.message} [${error.code}]`];
  if (error.hint !== undefined) lines.push(`${paint(stream, 'bold', 'what to do')}: ${error.hint}`);
  if (error.blame === 'bug' && error.cause instanceof Error) lines.push(error.cause.stack ?? '');
  return `${lines.join('\n')}\n`;
}

export interface ErrorRecord {
  type: 'error';
  code: string;
  exitCode: ExitCode;
  message: string;
  hint: string | null;
}

export const errorRecord = (error: SnapError): ErrorRecord => ({
  type: 'error',
  code: error.code,
  exitCode: error.exitCode,
  message: error.message,
  hint: error.hint ?? null,
});
