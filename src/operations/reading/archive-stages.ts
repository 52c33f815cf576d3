/** The processes that convert stored bytes to plain bytes. */
import { writeSync } from 'node:fs';
import { decryptCommand } from '../../archive/cipher.ts';
import { decompressCommand } from '../../archive/codec.ts';
import { culpritOf, isNoMessage } from '../../archive/decryption-failure.ts';
import { SnapError } from '../../errors.ts';
import { configurationProblem, decryptionOptions, invalidConfiguration } from '../../lib/gpg-configuration.ts';
import { type Stage, StageError } from '../../transfer/pipeline.ts';
import { closeAll, makePipe } from '../../transfer/pipes.ts';
import { environmentOfTools } from '../../transfer/process.ts';
import type { ArchivedObject } from './find-archive.ts';

export interface DecryptStage extends Disposable {
  /** Empty if the object is not encrypted. */
  stages: Stage[];
  /**
   * Judges the failure of a pipeline that begins with this stage.
   * @param isBlank whether no plain byte came out of it.
   * @throws SnapError `GPG_KEY` when the key is at fault; errors other than `StageError` as they are.
   */
  judge(error: unknown, isBlank: boolean): Damage;
}

/** The stored bytes are not what was stored. */
export interface Damage {
  cause: StageError;
  /** Why they cannot be decrypted if they prove to be what was stored after all; `null` if they cannot be. */
  ifIntact: SnapError | null;
}

/** Passes the session key to gpg through a pipe, because all users of the machine can read arguments. */
export async function decryptStage(
  { cipher, recipients = [] }: ArchivedObject,
  sessionKey: string | null,
): Promise<DecryptStage> {
  const options = cipher === 'none' ? [] : decryptionOptions(environmentOfTools());
  const descriptor = cipher === 'none' || sessionKey === null ? null : await pipeWith(`${sessionKey}\n`);
  const isBySessionKey = descriptor !== null;
  const lines: string[] = [];
  const onStderrLine = (line: string) => {
    if (lines.length < MAX_LINES) lines.push(line);
  };
  // In the child process, the first of `others` has the number 3.
  const argv = decryptCommand(options, isBySessionKey ? 3 : null);
  const stage = { name: GPG, argv, onStderrLine, others: isBySessionKey ? [descriptor] : [] };
  return {
    stages: cipher === 'none' ? [] : [stage],
    judge(error, isBlank) {
      if (!(error instanceof StageError)) throw error;
      if (error.stage !== GPG) return { cause: error, ifIntact: null };
      return isBySessionKey ? judgeSessionKey(error, lines, isBlank) : judgeKeys(error, lines, recipients);
    },
    [Symbol.dispose]: () => closeAll(isBySessionKey ? [descriptor] : []),
  };
}

/** Maximum number of status lines of gpg that are kept, from the first one on. It writes a few for each recipient. */
const MAX_LINES = 10_000;

async function pipeWith(text: string): Promise<number> {
  const pipe = await makePipe();
  writeSync(pipe.writeEnd, text);
  closeAll([pipe.writeEnd]);
  return pipe.readEnd;
}

export const decompressStage = ({ codec }: ArchivedObject): Stage => ({ name: codec, argv: decompressCommand(codec) });

const GPG = 'gpg';

/** gpg accepts any session key. With the right one, it writes some bytes. */
function judgeSessionKey(cause: StageError, lines: readonly string[], isBlank: boolean): Damage {
  rejectConfiguration(cause);
  if (!isBlank || isNoMessage(lines)) return { cause, ifIntact: null };
  const hint = 'use the session key of this object (docs/encryption.md); if you did, its beginning is damaged';
  throw wrongKey(cause, hint);
}

function judgeKeys(cause: StageError, lines: readonly string[], recipients: readonly string[]): Damage {
  rejectConfiguration(cause);
  const noKey = wrongKey(
    cause,
    'import the private key of a recipient into the keyring or agent, or specify --gpg-session-key',
  );
  const culprit = culpritOf(lines, recipients);
  if (culprit === 'key') throw noKey;
  return { cause, ifIntact: culprit === 'other-key' ? noKey : null };
}

function rejectConfiguration({ lastOutput }: StageError): void {
  const problem = configurationProblem(lastOutput);
  if (problem !== null) throw invalidConfiguration(problem);
}

const wrongKey = (cause: StageError, hint: string): SnapError =>
  new SnapError('GPG_KEY', `the archive cannot be decrypted: ${cause.message}`, { hint, cause });
