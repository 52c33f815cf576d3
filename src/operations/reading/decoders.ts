/** Who makes plain bytes of an object's stored ones, and has them compared. */

import type { ComparisonOrder, StreamFindings } from '../../streams/comparing-thread.ts';
import { compareInThreads, compareLz4InThreads } from '../../streams/start.ts';
import { StageError, startPipeline } from '../../transfer/pipeline.ts';
import { closeAll } from '../../transfer/pipes.ts';
import { decompressStage, decryptStage, rejectKey } from './archive-stages.ts';
import type { ArchivedObject } from './find-archive.ts';

export interface Decoded {
  comparison: StreamFindings;
  /** Why the object cannot be decoded to its end. */
  problem: string | null;
  /** Others may be able to decode it. */
  isForeign: boolean;
}

export interface Decoder extends AsyncDisposable {
  /** @throws SnapError what says nothing of the object: `GPG_KEY`, `STAGE_FAILED`, `COMPARE_FAILED` */
  finished: Promise<Decoded>;
}

/** Compares the plain bytes of a descriptor, and closes it. */
export type Compare = (descriptor: number) => Promise<StreamFindings>;

export const inThreads =
  (order: ComparisonOrder, signal: AbortSignal): Compare =>
  (descriptor) =>
    compareInThreads(descriptor, order, signal).finally(() => closeAll([descriptor]));

/**
 * By the stock programs: those who restore by hand use the same.
 * @param stored the read end of a pipe with the stored bytes; it is taken over.
 * @param sessionKey for objects encrypted with gpg
 */
export async function decodeByPrograms(
  object: ArchivedObject,
  stored: number,
  compare: Compare,
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
  const comparing = compare(pipeline.output);
  comparing.catch((error) => failed.abort(error));
  const finish = async (): Promise<Decoded> => {
    const [comparison, verdict] = await Promise.allSettled([comparing, pipeline.finished]);
    if (comparison.status === 'rejected') throw comparison.reason;
    if (verdict.status === 'fulfilled') return { comparison: comparison.value, problem: null, isForeign: false };
    return damaged(verdict.reason, comparison.value, decrypt.isBySessionKey);
  };
  return { finished: finish(), [Symbol.asyncDispose]: () => pipeline[Symbol.asyncDispose]() };
}

/**
 * By our own threads, for lz4 that is not encrypted: processes would spend as much time on handing bytes over as on them.
 * @param stored the read end of a pipe with the stored bytes; it is taken over.
 * @param isKnown whether the SHA-256 of the plain bytes is held against a known one
 */
export function decodeInThreads(
  stored: number,
  order: ComparisonOrder,
  isKnown: boolean,
  signal: AbortSignal,
): Decoder {
  const comparing = compareLz4InThreads(stored, order, isKnown, signal).finally(() => closeAll([stored]));
  const finished = comparing.then((decoded) =>
    decoded.problem === null ? decoded : endedEarly(decoded.comparison, `lz4: ${decoded.problem}`),
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
function damaged(reason: unknown, comparison: StreamFindings, bySessionKey: boolean): Decoded {
  if (!(reason instanceof StageError)) throw reason;
  rejectKey(reason, bySessionKey && comparison.plainBytes === 0);
  if (reason.outcome.exitCode === null) throw reason;
  return endedEarly(comparison, reason.reason);
}

/** That the plain stream ends too early follows from it. */
function endedEarly(comparison: StreamFindings, problem: string): Decoded {
  const rest = comparison.differences.filter(({ kind }) => kind !== 'damaged');
  const dropped = comparison.differences.length - rest.length;
  const differenceCount = comparison.differenceCount - dropped;
  return { comparison: { ...comparison, differences: rest, differenceCount }, problem, isForeign: false };
}
