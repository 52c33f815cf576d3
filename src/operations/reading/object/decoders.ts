/** The decoders, which convert the stored bytes of an object to plain bytes and pass them to a sink. */

import type { SnapError } from '../../../errors.ts';
import type { SinkOrder, StreamFindings } from '../../../streams/sink-thread.ts';
import { consumeLz4InThreads } from '../../../streams/start.ts';
import { startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll } from '../../../transfer/pipes.ts';
import { type DecryptStage, decompressStage, decryptStage } from '../archive-stages.ts';
import type { ArchivedObject } from '../find-archive.ts';

export interface Decoded {
  findings: StreamFindings;
  /** Why the object cannot be decoded to its end; `null` if it can. */
  problem: string | null;
  /** Whether the stream has a format that this decoder does not support, but another one may. */
  isForeign: boolean;
  /** Why it cannot be decoded if its bytes prove to be those that were stored; `null` if they cannot be. */
  ifIntact: SnapError | null;
}

export interface Decoder extends AsyncDisposable {
  /** @throws SnapError errors that are no evidence about the object: `GPG_KEY`, `STAGE_FAILED`, `COMPARE_FAILED`. */
  finished: Promise<Decoded>;
}

/** Reads the plain bytes from a descriptor, and closes it. */
type Consume = (descriptor: number) => Promise<StreamFindings>;

/**
 * Decodes with the standard programs, which are also used to restore by hand.
 * @param stored the read end of a pipe with the stored bytes, which this function closes.
 */
export async function decodeByPrograms(
  object: ArchivedObject,
  stored: number,
  consume: Consume,
  { sessionKey, signal }: { sessionKey: string | null; signal: AbortSignal },
): Promise<Decoder> {
  const failed = new AbortController();
  using decrypt = await decryptStage(object, sessionKey).catch((error) => {
    closeAll([stored]);
    throw error;
  });
  const pipeline = await startPipeline([...decrypt.stages, decompressStage(object)], {
    signal: AbortSignal.any([signal, failed.signal]),
    input: stored,
  }).finally(() => closeAll([stored]));
  const consuming = consume(pipeline.output);
  consuming.catch((error) => failed.abort(error));
  const finish = async (): Promise<Decoded> => {
    const [consumed, verdict] = await Promise.allSettled([consuming, pipeline.finished]);
    if (consumed.status === 'rejected') throw consumed.reason;
    const findings = consumed.value;
    if (verdict.status === 'fulfilled') return { findings, problem: null, isForeign: false, ifIntact: null };
    return damaged(verdict.reason, findings, decrypt);
  };
  return { finished: finish(), [Symbol.asyncDispose]: () => pipeline[Symbol.asyncDispose]() };
}

/**
 * Decodes an object of which nothing is fetched.
 * @param nothing the read end of a pipe that delivers no bytes, which this function closes.
 */
export function decodeNothing(nothing: number, consume: Consume): Decoder {
  const finished = consume(nothing).then((findings) => ({ findings, problem: null, isForeign: false, ifIntact: null }));
  return {
    finished,
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([finished]);
    },
  };
}

/**
 * Decodes unencrypted lz4 in threads. With processes, passing the bytes on would take as long as decoding them.
 * @param stored the read end of a pipe with the stored bytes, which this function closes.
 * @param isKnown whether the SHA-256 of the plain bytes is compared with a known one.
 */
export function decodeInThreads(stored: number, order: SinkOrder, isKnown: boolean, signal: AbortSignal): Decoder {
  const consuming = consumeLz4InThreads(stored, order, isKnown, signal).finally(() => closeAll([stored]));
  const finished = consuming.then((decoded) =>
    decoded.problem === null
      ? { ...decoded, ifIntact: null }
      : endedEarly(decoded.findings, `lz4: ${decoded.problem}`, null),
  );
  return {
    finished,
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([finished]);
    },
  };
}

/**
 * A decoder that ends with an error of its own has read bytes that no encoder wrote: the archive is damaged. A missing
 * key and a decoder that was killed are no evidence about the archive, and are thrown.
 */
function damaged(reason: unknown, findings: StreamFindings, decrypt: DecryptStage): Decoded {
  const { cause, ifIntact } = decrypt.judge(reason, findings.plainBytes === 0);
  if (cause.outcome.exitCode === null && !CRASHES.has(cause.outcome.signalName)) throw cause;
  return endedEarly(findings, cause.reason, ifIntact);
}

/** Signals of a program's own mistakes: gpg 2.2.40 crashes on some damaged messages. Other signals come from outside. */
const CRASHES: ReadonlySet<NodeJS.Signals | null> = new Set(['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL']);

/** Removes the difference that the plain stream ends too early, because it follows from the problem. */
function endedEarly(findings: StreamFindings, problem: string, ifIntact: SnapError | null): Decoded {
  const rest = findings.differences.filter(({ kind }) => kind !== 'damaged');
  const dropped = findings.differences.length - rest.length;
  const differenceCount = findings.differenceCount - dropped;
  return { findings: { ...findings, differences: rest, differenceCount }, problem, isForeign: false, ifIntact };
}
