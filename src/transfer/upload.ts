/**
 * A stream of parts as one object of the store.
 *
 * The promise settles only when the store has answered the last request, abort included: whoever exits then leaves
 * nothing behind. An object becomes visible only after its producer's verdict.
 */
import { createHash } from 'node:crypto';
import type { PartReceipt, PartStore, StoredObject } from '../cloud/ports.ts';
import { asError, SnapError } from '../errors.ts';
import { crc32Of, encodeCrc32 } from '../lib/bytes/crc32.ts';
import { cleanupSignal } from '../lib/disposal.ts';
import { MAX_PARTS } from './part-plan.ts';
import type { Part } from './part-reader.ts';

export interface UploadOptions {
  /** Parts on their way at once. */
  streams: number;
  signal: AbortSignal;
  /**
   * Resolves when the bytes are known to be whole: every stage exited 0 and the counts agree. It is asked after the
   * last part, with the number of bytes that were uploaded.
   */
  verdict: (storedBytes: number) => Promise<void>;
  /** Told of each acknowledged part. */
  onStored: (bytes: number) => void;
  /** Told of the upload's id as soon as there is one; what it returns is disposed when nothing is left of it. */
  onCreated: (uploadId: string) => Promise<Disposable>;
  /** An upload that was broken off, what the store has of it, and the first of those, which do not come again. */
  resume: { uploadId: string; parts: readonly PartReceipt[]; kept: readonly PartReceipt[] } | null;
  /** Told of each part that was there already. */
  onReused: (bytes: number) => void;
  /** Whether an upload that fails is left for a later run, rather than aborted. */
  leave: () => boolean;
}

/** @throws what the parts or the verdict threw, the signal's reason, or SnapError `UPLOAD_FAILED`. */
export async function uploadParts(
  parts: AsyncIterable<Part>,
  store: PartStore,
  options: UploadOptions,
): Promise<StoredObject> {
  const uploadId = options.resume?.uploadId ?? (await store.create({ signal: options.signal }));
  try {
    using _held = await options.onCreated(uploadId);
    const receipts = await sendParts(parts, uploadId, store, options);
    const storedBytes = consecutiveBytes(receipts);
    await options.verdict(storedBytes);
    options.signal.throwIfAborted();
    return await store.complete(uploadId, receipts, storedBytes, { signal: options.signal });
  } catch (failure) {
    if (!options.leave()) await abandon(uploadId, store, failure);
    throw failure;
  }
}

/** Resolves, or rejects with the first failure, only after every part that was started has settled. */
async function sendParts(
  parts: AsyncIterable<Part>,
  uploadId: string,
  store: PartStore,
  options: UploadOptions,
): Promise<PartReceipt[]> {
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const receipts: PartReceipt[] = [...(options.resume?.kept ?? [])];
  const underWay = new Set<Promise<void>>();
  const there = new Map(options.resume?.parts.map((receipt) => [receipt.number, receipt]));
  const send = async (part: Part) => {
    const old = there.get(part.number);
    const isThere = old !== undefined && isSamePart(old, part.bytes);
    const receipt = isThere ? old : await store.putPart(uploadId, part.number, part.bytes, { signal });
    receipts.push(receipt);
    options.onStored(receipt.bytes);
    if (isThere) options.onReused(receipt.bytes);
    part.release();
  };
  try {
    for await (const part of parts) {
      const sending: Promise<void> = send(part)
        .catch((error) => failed.abort(failed.signal.reason ?? error))
        .finally(() => underWay.delete(sending));
      underWay.add(sending);
      if (part.number > MAX_PARTS) throw tooLong();
      if (underWay.size >= options.streams) await Promise.race(underWay);
      signal.throwIfAborted();
    }
  } finally {
    await Promise.all(underWay);
  }
  signal.throwIfAborted();
  return receipts.sort((a, b) => a.number - b.number);
}

/**
 * Whether the store has exactly these bytes: by length, CRC-32 and MD5. Where the ETag of a part is not its MD5, as
 * with KMS keys, a CRC-32 alone is too little to go by, and the part is sent again.
 */
function isSamePart(receipt: PartReceipt, bytes: Buffer): boolean {
  if (receipt.bytes !== bytes.length || receipt.checksum !== encodeCrc32(crc32Of(bytes).value)) return false;
  return receipt.etag.replaceAll('"', '') === createHash('md5').update(bytes).digest('hex');
}

const tooLong = (): SnapError =>
  new SnapError('UPLOAD_FAILED', 'the object is longer than 10,000 parts can hold', {
    hint: 'compress better (--compression zstd), or archive the partitions one by one (without --dd)',
  });

/** @throws SnapError `BUG` for a gap: the store would refuse it too. */
function consecutiveBytes(receipts: readonly PartReceipt[]): number {
  for (const [index, receipt] of receipts.entries()) {
    if (receipt.number !== index + 1) throw new SnapError('BUG', `part ${index + 1} is missing from the upload`);
  }
  return receipts.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Gives the parts back, on time of its own. Where that fails too, the failure says what is left behind. */
async function abandon(uploadId: string, store: PartStore, failure: unknown): Promise<void> {
  try {
    await store.abort(uploadId, { signal: cleanupSignal() });
  } catch (abortFailure) {
    throw new SnapError('UPLOAD_FAILED', `${asError(failure).message}; and its upload could not be aborted`, {
      hint: `parts that cost money are left behind: aws s3api abort-multipart-upload --upload-id ${uploadId}`,
      cause: new AggregateError([failure, abortFailure]),
    });
  }
}
