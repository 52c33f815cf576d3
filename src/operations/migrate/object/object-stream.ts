/** What is uploaded as one object: a tar or an image, compressed and encrypted by one chain of processes. */
import { readFileSync } from 'node:fs';
import { encryptCommand } from '../../../archive/cipher.ts';
import { compressCommand } from '../../../archive/codec.ts';
import { isSocketLine, readTarTotal, tarCommand, unreadableFile } from '../../../archive/tar/tar-command.ts';
import { SnapError } from '../../../errors.ts';
import type { IndexingReport } from '../../../indexing/indexing-order.ts';
import { printable } from '../../../lib/printable.ts';
import { type Part, readParts } from '../../../transfer/part-reader.ts';
import { type RunningPipeline, type Stage, type StageReport, startPipeline } from '../../../transfer/pipeline.ts';
import { encryptedParts } from './encrypt.ts';
import { type ObjectInput, openInput } from './object-input.ts';
import type { ObjectOrder } from './object-order.ts';
import { checkCounts, mismatch, reportOf } from './stream-counts.ts';

export interface ObjectStream extends AsyncDisposable {
  readonly parts: AsyncIterable<Part>;
  /** Fires with the reason when it can no longer become whole. */
  readonly broken: AbortSignal;
  /** Plain bytes that have been read. */
  position(): number;
  /**
   * To be asked after the last part: every stage exited 0, and the counts agree.
   * @throws SnapError `STAGE_FAILED`, `COUNT_MISMATCH`
   */
  verdict(storedBytes: number): Promise<StreamVerdict>;
}

export interface StreamVerdict {
  plainBytes: number;
  /** What the stage that indexes says; `null` without one. */
  indexed: IndexingReport | null;
}

/** @param onSocket is called for each socket that tar leaves out. */
export async function openStream(order: ObjectOrder, onSocket: () => void, signal: AbortSignal): Promise<ObjectStream> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const input = await openInput(order.content, order.index?.isCompressing ?? false, either);
  try {
    const onTrouble = (trouble: Trouble) => failed.abort(unreadable(trouble));
    const pipeline = await startPipeline(stagesOf(order, onSocket, onTrouble), { signal: either, ...input.asStdin });
    pipeline.finished.catch((error) => failed.abort(error));
    input.begin().catch((error) => failed.abort(error));
    return { ...runningStream(order, input, pipeline, either), broken: failed.signal };
  } catch (error) {
    await input[Symbol.asyncDispose]();
    throw error;
  }
}

function runningStream(
  order: ObjectOrder,
  input: ObjectInput,
  pipeline: RunningPipeline,
  signal: AbortSignal,
): Omit<ObjectStream, 'broken'> {
  const { expectedBytes } = order.content;
  const parts = readParts(pipeline.output, { expectedBytes, held: order.streams + 1, signal });
  const watched = order.index ? order.index.watch(parts) : parts;
  return {
    parts: blamingStages(pipeline, order.encryption ? encryptedParts(watched) : watched),
    position: () => input.position() ?? bytesRead(pipeline, order),
    async verdict(storedBytes) {
      const reports = await pipeline.finished;
      await input.begin();
      const plainBytes = producedBytes(order, reports, input.position());
      const indexed = order.index?.report() ?? null;
      checkCounts(order, reports, indexed, { plainBytes, storedBytes });
      assertUndamaged(order, indexed?.problem === null ? indexed : null);
      return { plainBytes, indexed };
    },
    async [Symbol.asyncDispose]() {
      await pipeline[Symbol.asyncDispose]();
      await input[Symbol.asyncDispose]();
    },
  };
}

/** @throws SnapError `UNREADABLE` */
function assertUndamaged({ content }: ObjectOrder, indexed: IndexingReport | null): void {
  if (content.kind !== 'files') return;
  const damage = content.damage(indexed?.members ?? null) ?? indexed?.unsupported ?? null;
  if (damage !== null) throw new SnapError('UNREADABLE', damage, { hint: 'repair the filesystem, or use --dd' });
}

/**
 * A stage that fails at once ends the stream before it has begun, and the end is seen before the exit: the failure
 * of the stage is the cause, the empty stream its effect.
 */
async function* blamingStages(pipeline: RunningPipeline, parts: AsyncIterable<Part>): AsyncGenerator<Part> {
  try {
    yield* parts;
  } catch (error) {
    if (error instanceof SnapError && error.code === 'COUNT_MISMATCH') await pipeline.finished;
    throw error;
  }
}

type Trouble = NonNullable<ReturnType<typeof unreadableFile>>;

const unreadable = ({ path, reason }: Trouble): SnapError =>
  new SnapError('UNREADABLE', `${printable(path)} cannot be read: ${reason}`, {
    hint: 'look for read errors in dmesg; check the filesystem, or archive the disk with --dd',
  });

function stagesOf(order: ObjectOrder, onSocket: () => void, onTrouble: (trouble: Trouble) => void): Stage[] {
  const stages: Stage[] = [];
  if (order.content.kind === 'files') {
    const onStderrLine = (line: string) => {
      const trouble = unreadableFile(line);
      if (isSocketLine(line)) onSocket();
      else if (trouble) onTrouble(trouble);
    };
    stages.push({ name: 'tar', argv: tarCommand(order.content.directory), onStderrLine });
  }
  if (order.index) stages.push(order.index.stage);
  if (!order.index?.isCompressing) stages.push({ name: order.codec.name, argv: compressCommand(order.codec) });
  if (order.encryption) stages.push({ name: 'gpg', argv: encryptCommand(order.encryption) });
  return stages;
}

/** What the first stage behind the source has read, by the kernel's count; good enough to show, and gone when it exits. */
function bytesRead(pipeline: RunningPipeline, order: ObjectOrder): number {
  const pid = pipeline.pids[order.content.kind === 'files' ? 1 : 0];
  try {
    return Number(/^rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
  } catch {
    return order.content.expectedBytes;
  }
}

/** By who produced the plain bytes: tar's total, or the device's size and read position. */
function producedBytes(order: ObjectOrder, reports: readonly StageReport[], position: number | null): number {
  const isTar = order.content.kind === 'files';
  const produced = isTar ? readTarTotal(reportOf(reports, 'tar')) : order.content.expectedBytes;
  if (produced === null) throw mismatch(order, 'tar did not report how many bytes it wrote');
  if (position !== null && position !== produced) {
    throw mismatch(order, `${position} of the ${produced} bytes of the device were read`);
  }
  return produced;
}
