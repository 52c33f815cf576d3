/** The processes that convert stored bytes to plain bytes. */
import { writeSync } from 'node:fs';
import { decryptCommand } from '../../archive/cipher.ts';
import { decompressCommand } from '../../archive/codec.ts';
import { SnapError } from '../../errors.ts';
import { configurationProblem, decryptionOptions, invalidConfiguration } from '../../lib/gpg-configuration.ts';
import { type Stage, StageError } from '../../transfer/pipeline.ts';
import { closeAll, makePipe } from '../../transfer/pipes.ts';
import { environmentOfTools } from '../../transfer/process.ts';
import type { ArchivedObject } from './find-archive.ts';

export interface DecryptStage extends Disposable {
  /** Empty if the object is not encrypted. */
  stages: Stage[];
  isBySessionKey: boolean;
  /** @throws SnapError `GPG_KEY` if the key is the cause; the result of `damaged` for any other `StageError`; other errors unchanged. */
  explain(error: unknown, damaged: (cause: unknown) => unknown): never;
}

/** Passes the session key to gpg through a pipe, because all users of the machine can read arguments. */
export async function decryptStage({ cipher }: ArchivedObject, sessionKey: string | null): Promise<DecryptStage> {
  const options = cipher === 'none' ? [] : decryptionOptions(environmentOfTools());
  const descriptor = cipher === 'none' || sessionKey === null ? null : await pipeWith(`${sessionKey}\n`);
  const isBySessionKey = descriptor !== null;
  // In the child process, the first of `others` has the number 3.
  const stage = {
    name: GPG,
    argv: decryptCommand(options, isBySessionKey ? 3 : null),
    others: isBySessionKey ? [descriptor] : [],
  };
  return {
    stages: cipher === 'none' ? [] : [stage],
    isBySessionKey,
    explain(error, damaged) {
      if (!(error instanceof StageError)) throw error;
      rejectKey(error, isBySessionKey);
      throw damaged(error);
    },
    [Symbol.dispose]: () => closeAll(isBySessionKey ? [descriptor] : []),
  };
}

async function pipeWith(text: string): Promise<number> {
  const pipe = await makePipe();
  writeSync(pipe.writeEnd, text);
  closeAll([pipe.writeEnd]);
  return pipe.readEnd;
}

export const decompressStage = ({ codec }: ArchivedObject): Stage => ({ name: codec, argv: decompressCommand(codec) });

const GPG = 'gpg';

/**
 * Throws if the key is the reason why gpg failed. gpg accepts any session key and does not report whether the key or the
 * message is wrong. With the right key, however, it writes some bytes.
 * @param isWrongSessionKey whether gpg had a session key and wrote nothing.
 * @throws SnapError `GPG_KEY` if gpg failed for another reason than a damaged message.
 */
export function rejectKey(reason: StageError, isWrongSessionKey: boolean): void {
  if (reason.stage !== GPG) return;
  const problem = configurationProblem(reason.lastOutput);
  if (problem !== null) throw invalidConfiguration(problem);
  if (!isWrongSessionKey && !NO_KEY.test(reason.lastOutput)) return;
  const hint = isWrongSessionKey
    ? 'use the session key of this object (docs/encryption.md); if you did, the beginning of the object is damaged'
    : 'import the private key of a recipient into the keyring or agent, or specify --gpg-session-key';
  throw new SnapError('GPG_KEY', `the archive cannot be decrypted: ${reason.message}`, { hint, cause: reason });
}

const NO_KEY = /no secret key|wrong secret key used|bad session key|invalid session key/i;
