/** Combines the source and the transforms of an object into one stream of parts with one verdict. */
import { readFileSync } from 'node:fs';
import { SnapError } from '../../../errors.ts';
import type { IndexingReport } from '../../../indexing/indexing-order.ts';
import { type Part, readParts } from '../../../transfer/part-reader.ts';
import { type RunningPipeline, startPipeline } from '../../../transfer/pipeline.ts';
import type { StreamContent } from './content.ts';
import type { ObjectOrder } from './object-order.ts';
import { type ObjectSource, openSource, type SourceVerdict } from './object-source.ts';
import type { StreamIndex } from './stream-index.ts';
import { type Transforms, transformsOf } from './transforms.ts';

export interface ObjectStream extends AsyncDisposable {
  readonly parts: AsyncIterable<Part>;
  /** Aborted with the reason if the stream cannot become complete. */
  readonly broken: AbortSignal;
  /** Number of plain bytes read so far. */
  position(): number;
  /**
   * Call it after the last part. It checks that every stage has exited with 0, and that the counts agree.
   * @throws SnapError `STAGE_FAILED`, `COUNT_MISMATCH`, `UNREADABLE`
   */
  verdict(storedBytes: number): Promise<StreamVerdict>;
}

export interface StreamVerdict extends SourceVerdict {
  readonly plainBytes: number;
  /** The report of the indexing stage; `null` if there is none. */
  readonly indexed: IndexingReport | null;
}

/** @param content the content of the order. @param index receives what is found in it. */
export async function openStream(
  order: ObjectOrder,
  content: StreamContent,
  index: StreamIndex,
  signal: AbortSignal,
): Promise<ObjectStream> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const fail = (reason: unknown) => failed.abort(reason);
  await using opening = new AsyncDisposableStack();
  const source = opening.use(openSource(order, content, { fail }));
  const transforms = transformsOf(order, index);
  const stages = [...source.stages, ...transforms.stages];
  const input = source.input === null ? {} : { input: source.input };
  // It is disposed of before its source.
  const pipeline = opening.use(await startPipeline(stages, { signal: either, ...input }));
  pipeline.finished.catch(fail);
  const { expectedBytes } = content;
  const parts = opening.use(readParts(pipeline.output, { expectedBytes, held: order.streams + 1, signal: either }));
  const opened = opening.move();
  return {
    parts: blamingStages(pipeline, transforms.watch(parts)),
    broken: failed.signal,
    position: () => source.position() ?? bytesRead(pipeline.pids[source.stages.length]) ?? expectedBytes,
    verdict: (storedBytes) => judge(source, transforms, pipeline, storedBytes),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function judge(
  source: ObjectSource,
  transforms: Transforms,
  pipeline: RunningPipeline,
  storedBytes: number,
): Promise<StreamVerdict> {
  const reports = await pipeline.finished;
  const plainBytes = await source.produced(reports);
  const indexed = transforms.verdict(plainBytes, storedBytes);
  const found = source.verdict(indexed.problem === null ? indexed : null);
  return { ...found, plainBytes, indexed };
}

/**
 * If a stage fails at once, the stream is empty, and its end is seen before the exit of the stage. This function throws the
 * failure of the stage, because that is the cause.
 */
export async function* blamingStages(pipeline: RunningPipeline, parts: AsyncIterable<Part>): AsyncGenerator<Part> {
  try {
    yield* parts;
  } catch (error) {
    if (error instanceof SnapError && error.code === 'COUNT_MISMATCH') await pipeline.finished;
    throw error;
  }
}

/** Number of bytes that a process has read, as counted by the kernel, for the progress; `null` after it has exited. */
function bytesRead(pid: number | undefined): number | null {
  try {
    return Number(/^rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
  } catch {
    return null;
  }
}
