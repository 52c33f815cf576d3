/**
 * Uploads a stream of parts as one object.
 *
 * The promise settles only when the store has answered the last request, including an abort, so no request is lost when
 * the process exits. The object becomes visible only after its producer has confirmed that it is complete.
 */
import { createHash } from 'node:crypto';
import type { PartReceipt, PartStore, StoredObject } from '../cloud/ports.ts';
import { asError, SnapError } from '../errors.ts';
import { crc32Of, encodeCrc32 } from '../lib/bytes/crc32.ts';
import { cleanupSignal } from '../lib/disposal.ts';
import { MAX_PARTS } from './part-plan.ts';
import type { Part } from './part-reader.ts';

export interface UploadOptions<Verdict> {
  /** Maximum number of parts in flight. */
  streams: number;
  signal: AbortSignal;
  /**
   * Resolves if the bytes are complete: every stage has exited with 0 and the counts match. It is called after the last
   * part, with the number of uploaded bytes.
   */
  verdict: (storedBytes: number) => Promise<Verdict>;
  /** Called for each acknowledged part, with its length in bytes. */
  onStored: (bytes: number) => void;
  /** Called with the id of the upload. The result is disposed of when nothing is left of the upload. */
  onCreated: (uploadId: string) => Promise<Disposable>;
  /**
   * An interrupted upload to resume. `parts` are all parts that the store has, and `kept` are the first of them, which
   * the stream does not repeat.
   */
  resume: { uploadId: string; parts: readonly PartReceipt[]; kept: readonly PartReceipt[] } | null;
  /** Whether to keep a failed upload for a later run instead of aborting it. */
  leave: () => boolean;
}

export interface Uploaded<Verdict> {
  readonly object: StoredObject;
  readonly verdict: Verdict;
  /** The parts of an interrupted upload that the object contains. */
  readonly reused: { readonly parts: number; readonly bytes: number };
}

/** @throws what the parts or the verdict throw, the reason of the signal, or SnapError `UPLOAD_FAILED`. */
export async function uploadParts<Verdict>(
  parts: AsyncIterable<Part>,
  store: PartStore,
  options: UploadOptions<Verdict>,
): Promise<Uploaded<Verdict>> {
  const uploadId = options.resume?.uploadId ?? (await store.create({ signal: options.signal }));
  try {
    using _held = await options.onCreated(uploadId);
    const receipts = await sendParts(parts, uploadId, store, options);
    const storedBytes = consecutiveBytes(receipts);
    const verdict = await options.verdict(storedBytes);
    options.signal.throwIfAborted();
    const object = await store.complete(uploadId, receipts, storedBytes, { signal: options.signal });
    const earlier = new Set(options.resume?.parts);
    const reused = receipts.filter((receipt) => earlier.has(receipt));
    return { object, verdict, reused: { parts: reused.length, bytes: lengthOf(reused) } };
  } catch (failure) {
    if (!options.leave()) await abandon(uploadId, store, failure);
    throw failure;
  }
}

/** Settles only after every part that was started has settled. */
async function sendParts(
  parts: AsyncIterable<Part>,
  uploadId: string,
  store: PartStore,
  options: UploadOptions<unknown>,
): Promise<PartReceipt[]> {
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const receipts: PartReceipt[] = [...(options.resume?.kept ?? [])];
  const inFlight = new Set<Promise<void>>();
  const existing = new Map(options.resume?.parts.map((receipt) => [receipt.number, receipt]));
  const send = async (part: Part) => {
    const old = existing.get(part.number);
    const isReused = old !== undefined && isSamePart(old, part.bytes);
    const receipt = isReused ? old : await store.putPart(uploadId, part.number, part.bytes, { signal });
    receipts.push(receipt);
    options.onStored(receipt.bytes);
    part.release();
  };
  try {
    for await (const part of parts) {
      const sending: Promise<void> = send(part)
        .catch((error) => failed.abort(failed.signal.reason ?? error))
        .finally(() => inFlight.delete(sending));
      inFlight.add(sending);
      if (part.number > MAX_PARTS) throw tooLong();
      if (inFlight.size >= options.streams) await Promise.race(inFlight);
      signal.throwIfAborted();
    }
  } finally {
    await Promise.all(inFlight);
  }
  signal.throwIfAborted();
  return receipts.sort((a, b) => a.number - b.number);
}

/**
 * Whether the store has exactly these bytes, by their length, CRC-32 and MD5. If the ETag of a part is not its MD5, for
 * example with KMS keys, the part is sent again: a CRC-32 alone is not sufficient.
 */
function isSamePart(receipt: PartReceipt, bytes: Buffer): boolean {
  if (receipt.bytes !== bytes.length || receipt.checksum !== encodeCrc32(crc32Of(bytes).value)) return false;
  return receipt.etag.replaceAll('"', '') === createHash('md5').update(bytes).digest('hex');
}

const tooLong = (): SnapError =>
  new SnapError('UPLOAD_FAILED', 'the object does not fit into 10,000 parts', {
    hint: 'use stronger compression (--compression zstd), or archive the partitions separately (without --dd)',
  });

/** @throws SnapError `BUG` if a part is missing. The store would refuse that, too. */
function consecutiveBytes(receipts: readonly PartReceipt[]): number {
  for (const [index, receipt] of receipts.entries()) {
    if (receipt.number !== index + 1) throw new SnapError('BUG', `part ${index + 1} is missing from the upload`);
  }
  return lengthOf(receipts);
}

const lengthOf = (receipts: readonly PartReceipt[]): number => receipts.reduce((sum, { bytes }) => sum + bytes, 0);

/** Aborts the upload with a signal of its own. If that fails, the error says what is left behind. */
async function abandon(uploadId: string, store: PartStore, failure: unknown): Promise<void> {
  try {
    await store.abort(uploadId, { signal: cleanupSignal() });
  } catch (abortFailure) {
    throw new SnapError('UPLOAD_FAILED', `${asError(failure).message}; its upload could not be aborted either`, {
      hint: `the parts of upload ${uploadId} are billed until they are deleted: run snap-to-s3 clean`,
      cause: new AggregateError([failure, abortFailure]),
    });
  }
}
