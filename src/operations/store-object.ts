/** One object of an archive: from a mounted filesystem or a device, through the compressor and gpg, into the bucket. */
import { readFileSync } from 'node:fs';
import { type Encryption, encryptCommand } from '../archive/cipher.ts';
import { type Codec, compressCommand, readCounts } from '../archive/codec.ts';
import { readTarTotal, tarCommand, tellsOfSocket } from '../archive/tar.ts';
import type { ArchiveStore, ObjectFacts, PartReceipt, StoredObject } from '../cloud/ports.ts';
import { SnapError } from '../errors.ts';
import type { Host } from '../events.ts';
import { monotonic } from '../lib/clock.ts';
import type { BlockImage } from '../transfer/block-image.ts';
import { readParts } from '../transfer/part-reader.ts';
import { type RunningPipeline, type Stage, type StageReport, startPipeline } from '../transfer/pipeline.ts';
import { uploadParts } from '../transfer/upload.ts';
import { openInput } from './object-input.ts';

export type Content =
  /** The files below a directory. `expectedBytes` is an estimate. */
  | { layout: 'tar'; directory: string; expectedBytes: number }
  /** All bytes of a device, or of a snapshot's blocks; `expectedBytes` is exact. */
  | { layout: 'image'; device: string; expectedBytes: number }
  | { layout: 'image'; blocks: BlockImage; expectedBytes: number };

export interface ObjectOrder {
  content: Content;
  facts: ObjectFacts;
  codec: Codec;
  encryption: Encryption | null;
  /** Parts on their way at once. */
  streams: number;
  snapshotId: string;
  /** What is known of an upload of this object that was broken off, and where to note this one. */
  journal: UploadJournal;
}

/** The memory of uploads that outlives this process. */
export interface UploadJournal {
  /** The upload to go on with, and its parts; `null` to begin anew. Everything else unfinished has been aborted. */
  resume: { uploadId: string; parts: readonly PartReceipt[] } | null;
  begun(uploadId: string): Promise<void>;
  /** To be asked before the object becomes visible. @throws when it must not. */
  confirm(): Promise<void>;
  /** Whether an upload that fails is left for the next run. */
  leave(): boolean;
}

export interface ObjectResult {
  stored: StoredObject;
  plainBytes: number;
  /** Sockets that tar left out; `null` for images. */
  sockets: number | null;
}

/**
 * The object is completed only after every stage exited 0 and what they say of their work agrees with what was read
 * and uploaded.
 * @throws SnapError `STAGE_FAILED`, `COUNT_MISMATCH`, `UPLOAD_FAILED` or the store's own; nothing is under the key then.
 */
export async function storeObject(
  order: ObjectOrder,
  store: ArchiveStore,
  host: Host,
  signal: AbortSignal,
): Promise<ObjectResult> {
  const started = monotonic();
  const { key } = order.facts;
  host.notify({ code: 'object.started', snapshot: order.snapshotId, key, expectedBytes: order.content.expectedBytes });
  try {
    const result = await streamObject(order, store, host, signal);
    const seconds = (monotonic() - started) / 1000;
    const { plainBytes } = result;
    const storedBytes = result.stored.bytes;
    host.notify({ code: 'object.stored', snapshot: order.snapshotId, key, plainBytes, storedBytes, seconds });
    return result;
  } catch (error) {
    host.notify({ code: 'object.aborted', snapshot: order.snapshotId, key });
    throw error;
  }
}

async function streamObject(
  order: ObjectOrder,
  store: ArchiveStore,
  host: Host,
  signal: AbortSignal,
): Promise<ObjectResult> {
  const sockets = { count: 0 };
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  await using input = await openInput(order.content, either);
  await using pipeline = await startPipeline(stagesOf(order, sockets), { signal: either, ...input.asStdin });
  pipeline.finished.catch((error) => failed.abort(error));
  input.begin().catch((error) => failed.abort(error));
  const progress = { stored: 0 };
  const reused = { parts: 0, bytes: 0 };
  using _shown = host.track({
    label: order.facts.key,
    expectedBytes: order.content.expectedBytes,
    read: () => input.position() ?? bytesRead(pipeline, order),
    stored: () => progress.stored,
  });
  let plainBytes = 0;
  const verdict = async (storedBytes: number) => {
    const reports = await pipeline.finished;
    await input.begin();
    plainBytes = checkCounts(order, reports, input.position(), storedBytes);
    await order.journal.confirm();
  };
  const parts = readParts(pipeline.output, {
    expectedBytes: order.content.expectedBytes,
    held: order.streams + 1,
    signal: either,
  });
  const stored = await blamingStages(pipeline, () =>
    uploadParts(parts, store.object(order.facts), {
      streams: order.streams,
      signal: either,
      verdict,
      onStored: (bytes) => {
        progress.stored += bytes;
      },
      onCreated: async (uploadId) => {
        const held = host.hold(uploadHolding(store.bucket, order.facts.key, uploadId));
        await order.journal.begun(uploadId);
        return held;
      },
      resume: order.journal.resume,
      onReused: (bytes) => {
        reused.parts++;
        reused.bytes += bytes;
      },
      leave: () => order.journal.leave(),
    }),
  );
  if (reused.parts > 0) {
    host.notify({ code: 'upload.resumed', snapshot: order.snapshotId, key: order.facts.key, ...reused });
  }
  return { stored, plainBytes, sockets: order.content.layout === 'tar' ? sockets.count : null };
}

const uploadHolding = (bucket: string, key: string, uploadId: string) => ({
  what: `unfinished upload of ${key}`,
  remedy: `aws s3api abort-multipart-upload --bucket '${bucket}' --key '${key}' --upload-id '${uploadId}'`,
});

/**
 * A stage that fails at once ends the stream before it has begun, and the end is seen before the exit: the failure
 * of the stage is the cause, the empty stream its effect.
 */
async function blamingStages<T>(pipeline: RunningPipeline, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SnapError && error.code === 'COUNT_MISMATCH') await pipeline.finished;
    throw error;
  }
}

function stagesOf(order: ObjectOrder, sockets: { count: number }): Stage[] {
  const stages: Stage[] = [];
  if (order.content.layout === 'tar') {
    const onStderrLine = (line: string) => {
      if (tellsOfSocket(line)) sockets.count++;
    };
    stages.push({ name: 'tar', argv: tarCommand(order.content.directory), onStderrLine });
  }
  stages.push({ name: order.codec.name, argv: compressCommand(order.codec) });
  if (order.encryption) stages.push({ name: 'gpg', argv: encryptCommand(order.encryption) });
  return stages;
}

/** What the compressor has read, by the kernel's count; good enough to show, and gone when it exits. */
function bytesRead(pipeline: RunningPipeline, order: ObjectOrder): number {
  const pid = pipeline.pids[order.content.layout === 'tar' ? 1 : 0];
  try {
    return Number(/^rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
  } catch {
    return order.content.expectedBytes;
  }
}

/**
 * Three witnesses: who produced the plain bytes (tar's total, or the device's size and read position), the compressor
 * (bytes in, bytes out), and the uploader.
 * @returns the plain bytes.
 * @throws SnapError `COUNT_MISMATCH`
 */
function checkCounts(
  order: ObjectOrder,
  reports: readonly StageReport[],
  position: number | null,
  uploadedBytes: number,
): number {
  const stderrOf = (name: string): string => reports.find((report) => report.name === name)?.stderrTail ?? '';
  const compressor = readCounts(order.codec.name, stderrOf(order.codec.name));
  const isTar = order.content.layout === 'tar';
  const produced = isTar ? readTarTotal(stderrOf('tar')) : order.content.expectedBytes;
  if (produced === null) throw mismatch(order, 'tar did not say how many bytes it wrote');
  if (position !== null && position !== produced) {
    throw mismatch(order, `${position} of the ${produced} bytes of the device were read`);
  }
  if (compressor && compressor.plainBytes !== produced) {
    throw mismatch(order, `${order.codec.name} read ${compressor.plainBytes} bytes of ${produced}`);
  }
  if (compressor && !order.encryption && compressor.storedBytes !== uploadedBytes) {
    throw mismatch(order, `${order.codec.name} wrote ${compressor.storedBytes} bytes, ${uploadedBytes} were uploaded`);
  }
  return produced;
}

const mismatch = (order: ObjectOrder, what: string): SnapError =>
  new SnapError('COUNT_MISMATCH', `${order.facts.key}: ${what}; nothing was stored`, {
    hint: 'run the command again; if it persists, look for read errors in dmesg and report it',
  });
