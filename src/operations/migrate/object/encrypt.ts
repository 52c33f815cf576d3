/** Encrypts with gpg, and checks the result, because gpg exits with 0 whatever its configuration makes it write. */
import { type Encryption, encryptCommand, isMessageStart, lengthProblem } from '../../../archive/cipher.ts';
import { SnapError } from '../../../errors.ts';
import type { Part } from '../../../transfer/part-reader.ts';
import { runTool } from '../../../transfer/run-tool.ts';

/**
 * Encrypts bytes in memory.
 * @throws SnapError `STAGE_FAILED` if gpg wrote anything but a message of these bytes; `ToolError`.
 */
export async function encryptBytes(encryption: Encryption, input: Buffer, signal: AbortSignal): Promise<Buffer> {
  const { stdoutBytes } = await runTool(encryptCommand(encryption), { input, signal });
  requireMessage(stdoutBytes);
  const problem = lengthProblem(input.length, stdoutBytes.length, encryption);
  if (problem !== null) throw notEncrypted(problem);
  return stdoutBytes;
}

/** Passes on the parts of the output of gpg, and checks the first one. @throws SnapError `STAGE_FAILED` before any upload. */
export async function* encryptedParts(parts: AsyncIterable<Part>): AsyncGenerator<Part> {
  for await (const part of parts) {
    if (part.number === 1) requireMessage(part.bytes);
    yield part;
  }
}

function requireMessage(start: Uint8Array): void {
  if (!isMessageStart(start)) throw notEncrypted('the output of gpg is not a binary OpenPGP message');
}

const notEncrypted = (problem: string): SnapError =>
  new SnapError('STAGE_FAILED', `${problem}; nothing was stored`, {
    hint: 'remove options in /etc/gnupg/gpg.conf that change the output of gpg',
  });
