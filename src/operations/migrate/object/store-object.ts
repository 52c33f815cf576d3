/** Stores one object of an archive: source | transforms | sink. */
import type { UploadCheckpoint } from '../../../archive/claim.ts';
import { BLOCK_BYTES } from '../../../cloud/blocks.ts';
import type { ArchiveStore, StoredObject } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import type { Host } from '../../../events.ts';
import { monotonic } from '../../../lib/clock.ts';
import { openImageStream } from './image-stream.ts';
import type { ObjectOrder } from './object-order.ts';
import { openUpload } from './object-sink.ts';
import type { SourceVerdict } from './object-source.ts';
import { type ObjectStream, openStream, type StreamVerdict } from './object-stream.ts';

/** A stored object. */
export interface StoredStream extends SourceVerdict {
  readonly stored: StoredObject;
  readonly plainBytes: number;
  /** The file that contains the index; `null` if there is none. */
  readonly indexFile: string | null;
}

/**
 * Completes the object only if every stage has exited with 0 and the reports of the source, the transforms and the sink
 * agree.
 * @throws SnapError `UNREADABLE` for files that tar cannot read; `STAGE_FAILED`, `COUNT_MISMATCH`, `UPLOAD_FAILED`, or the
 * errors of the store. The key then has no new object.
 */
export async function storeObject(
  order: ObjectOrder,
  store: ArchiveStore,
  host: Host,
  signal: AbortSignal,
): Promise<StoredStream> {
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
): Promise<StoredStream> {
  const { content, facts, snapshotId: snapshot } = order;
  const from = checkpointOf(order);
  await using stream = await openAt(order, from, signal);
  const sink = openUpload(order, from, store, host);
  using _shown = host.track({
    label: facts.key,
    expectedBytes: content.expectedBytes,
    from: from.plainBytes,
    read: () => stream.position(),
    stored: () => sink.storedBytes(),
  });
  const { object: stored, verdict, reused } = await sink.take(stream, signal);
  if (reused.parts > 0) host.notify({ code: 'upload.resumed', snapshot, key: facts.key, ...reused });
  const { plainBytes, sockets, contentBytes } = verdict;
  return { stored, plainBytes, sockets, contentBytes, indexFile: await finishIndex(order, verdict, host) };
}

function openAt(order: ObjectOrder, from: UploadCheckpoint, signal: AbortSignal): Promise<ObjectStream> {
  const { content, index } = order;
  if (content.kind === 'blocks') return openImageStream(order, content, from, signal);
  if (!index) throw new SnapError('BUG', `${order.facts.key} has no index`);
  return openStream(order, content, index, signal);
}

/** An archive without an index is complete, but finding a file in it takes longer. */
async function finishIndex(order: ObjectOrder, { indexed }: StreamVerdict, host: Host): Promise<string | null> {
  if (!order.index || !indexed) return null;
  if (indexed.problem === null) return order.index.finish(indexed, order.encryption !== null);
  const { snapshotId: snapshot, facts } = order;
  host.notify({ code: 'index.left-out', snapshot, key: facts.key, reason: indexed.problem });
  return null;
}

const BEGINNING: UploadCheckpoint = { plainBytes: 0, storedBytes: 0, parts: 0 };

/** The last checkpoint before which the store has all parts. */
function checkpointOf({ content, encryption, journal: { resume } }: ObjectOrder): UploadCheckpoint {
  if (!resume || content.kind !== 'blocks' || encryption) return BEGINNING;
  const isThere = ({ parts, storedBytes, plainBytes }: UploadCheckpoint): boolean => {
    const before = resume.parts.filter(({ number }) => number <= parts);
    const bytes = before.reduce((sum, part) => sum + part.bytes, 0);
    const isPlace = plainBytes <= content.expectedBytes && plainBytes % BLOCK_BYTES === 0;
    return isPlace && before.length === parts && bytes === storedBytes;
  };
  return resume.checkpoints.findLast(isThere) ?? BEGINNING;
}
