/** Who makes plain bytes of an object's stored ones, and gives them to a sink. */
import type { SinkOrder, StreamFindings } from '../../../streams/sink-thread.ts';
import { consumeLz4InThreads } from '../../../streams/start.ts';
import { StageError, startPipeline } from '../../../transfer/pipeline.ts';
import { closeAll } from '../../../transfer/pipes.ts';
import { decompressStage, decryptStage, rejectKey } from '../archive-stages.ts';
import type { ArchivedObject } from '../find-archive.ts';

export interface Decoded {
  findings: StreamFindings;
  /** Why the object cannot be decoded to its end. */
  problem: string | null;
  /** Others may be able to decode it. */
  isForeign: boolean;
}

export interface Decoder extends AsyncDisposable {
  /** @throws SnapError what says nothing of the object: `GPG_KEY`, `STAGE_FAILED`, `COMPARE_FAILED` */
  finished: Promise<Decoded>;
}

/** Takes the plain bytes of a descriptor, and closes it. */
type Consume = (descriptor: number) => Promise<StreamFindings>;

/**
 * By the stock programs: those who restore by hand use the same.
 * @param stored the read end of a pipe with the stored bytes; it is taken over.
 * @param sessionKey for objects encrypted with gpg
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
    if (verdict.status === 'fulfilled') return { findings: consumed.value, problem: null, isForeign: false };
    return damaged(verdict.reason, consumed.value, decrypt.isBySessionKey);
  };
  return { finished: finish(), [Symbol.asyncDispose]: () => pipeline[Symbol.asyncDispose]() };
}

/**
 * Where nothing is wanted of an object.
 * @param nothing the read end of a pipe that no bytes come through; it is taken over.
 */
export function decodeNothing(nothing: number, consume: Consume): Decoder {
  const finished = consume(nothing).then((findings) => ({ findings, problem: null, isForeign: false }));
  return {
    finished,
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([finished]);
    },
  };
}

/**
 * By our own threads, for lz4 that is not encrypted: processes would spend as much time on handing bytes over as on them.
 * @param stored the read end of a pipe with the stored bytes; it is taken over.
 * @param isKnown whether the SHA-256 of the plain bytes is compared with a known one
 */
export function decodeInThreads(stored: number, order: SinkOrder, isKnown: boolean, signal: AbortSignal): Decoder {
  const consuming = consumeLz4InThreads(stored, order, isKnown, signal).finally(() => closeAll([stored]));
  const finished = consuming.then((decoded) =>
    decoded.problem === null ? decoded : endedEarly(decoded.findings, `lz4: ${decoded.problem}`),
  );
  return {
    finished,
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([finished]);
    },
  };
}

/**
 * A decoder that gives up by itself has met bytes that nobody encoded: the archive is damaged. A key that is not
 * there says nothing of the archive, and neither does a decoder that was killed.
 */
function damaged(reason: unknown, findings: StreamFindings, bySessionKey: boolean): Decoded {
  if (!(reason instanceof StageError)) throw reason;
  rejectKey(reason, bySessionKey && findings.plainBytes === 0);
  if (reason.outcome.exitCode === null) throw reason;
  return endedEarly(findings, reason.reason);
}

/** That the plain stream ends too early follows from it. */
function endedEarly(findings: StreamFindings, problem: string): Decoded {
  const rest = findings.differences.filter(({ kind }) => kind !== 'damaged');
  const dropped = findings.differences.length - rest.length;
  const differenceCount = findings.differenceCount - dropped;
  return { findings: { ...findings, differences: rest, differenceCount }, problem, isForeign: false };
}
