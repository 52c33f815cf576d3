import type { Checkpoint } from '../../../archive/claim.ts';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import type { ArchiveStore, StoredObject } from '../../../cloud/ports.ts';
import type { Host } from '../../../events.ts';
import { monotonic } from '../../../lib/clock.ts';
import { uploadParts } from '../../../transfer/upload.ts';
import { openPieces } from './image-pieces.ts';
import type { ObjectOrder } from './object-order.ts';
import { openStream, type StreamVerdict } from './object-stream.ts';
import { uploadHolding } from './upload-holding.ts';

const BEGINNING: Checkpoint = { plainBytes: 0, storedBytes: 0, parts: 0 };

export interface ObjectResult {
  stored: StoredObject;
  plainBytes: number;
  /** Sockets that tar left out; `null` for images. */
  sockets: number | null;
  /** The file that is the index; `null` where there is none. */
  indexFile: string | null;
  /** Data of the files of a tar, holes left out; `null` where nobody counted. */
  contentBytes: number | null;
}

/**
 * The object is completed only after every stage exited 0 and what they say of their work agrees with what was read
 * and uploaded.
 * @throws SnapError `UNREADABLE` for files that tar cannot read; `STAGE_FAILED`, `COUNT_MISMATCH`, `UPLOAD_FAILED` or the store's own; nothing is under the key then.
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
  const { content, facts, journal, snapshotId } = order;
  let sockets = 0;
  const from = checkpointOf(order);
  const kept = journal.resume?.parts.filter(({ number }) => number <= from.parts) ?? [];
  await using stream =
    content.kind === 'blocks' && !order.encryption
      ? openPieces(order, content, from, signal)
      : await openStream(order, () => sockets++, signal);
  const progress = { stored: from.storedBytes };
  const reused = { parts: from.parts, bytes: from.storedBytes };
  using _shown = host.track({
    label: facts.key,
    expectedBytes: content.expectedBytes,
    from: from.plainBytes,
    read: () => stream.position(),
    stored: () => progress.stored,
  });
  let verdict: StreamVerdict = { plainBytes: 0, indexed: null };
  const stored = await uploadParts(stream.parts, store.object(facts), {
    streams: order.streams,
    signal: AbortSignal.any([signal, stream.broken]),
    verdict: async (storedBytes) => {
      verdict = await stream.verdict(storedBytes);
      journal.confirm();
    },
    onStored: (bytes) => {
      progress.stored += bytes;
    },
    onCreated: async (uploadId) => {
      const held = host.hold(uploadHolding(store.bucket, facts.key, uploadId));
      await journal.begun(uploadId, from);
      return held;
    },
    resume: journal.resume && { ...journal.resume, kept },
    onReused: (bytes) => {
      reused.parts++;
      reused.bytes += bytes;
    },
    leave: () => journal.leave(),
  });
  await journal.completed();
  if (reused.parts > 0) host.notify({ code: 'upload.resumed', snapshot: snapshotId, key: facts.key, ...reused });
  const indexFile = await finishIndex(order, verdict, host);
  const isTar = content.kind === 'files';
  return {
    plainBytes: verdict.plainBytes,
    stored,
    sockets: isTar ? sockets : null,
    indexFile,
    contentBytes: isTar && verdict.indexed?.problem === null ? verdict.indexed.contentBytes : null,
  };
}

/** An archive without an index is as good as any other, but slower to find a file in. */
async function finishIndex(order: ObjectOrder, { indexed }: StreamVerdict, host: Host): Promise<string | null> {
  if (!order.index || !indexed) return null;
  if (indexed.problem === null) return order.index.finish(indexed, order.encryption !== null);
  const { snapshotId: snapshot, facts } = order;
  host.notify({ code: 'index.left-out', snapshot, key: facts.key, reason: indexed.problem });
  return null;
}

/** The farthest one whose parts are all there. */
function checkpointOf({ content, encryption, journal: { resume } }: ObjectOrder): Checkpoint {
  if (!resume || content.kind !== 'blocks' || encryption) return BEGINNING;
  const isThere = ({ parts, storedBytes, plainBytes }: Checkpoint): boolean => {
    const before = resume.parts.filter(({ number }) => number <= parts);
    const bytes = before.reduce((sum, part) => sum + part.bytes, 0);
    const isPlace = plainBytes <= content.expectedBytes && plainBytes % BLOCK_BYTES === 0;
    return isPlace && before.length === parts && bytes === storedBytes;
  };
  return resume.checkpoints.findLast(isThere) ?? BEGINNING;
}
