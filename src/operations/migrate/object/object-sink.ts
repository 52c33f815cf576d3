/** The sink of an object: a multipart upload, which the journal records until the object exists. */
import type { UploadCheckpoint } from '../../../archive/claim.ts';
import type { ArchiveStore } from '../../../cloud/ports.ts';
import type { Host } from '../../../events.ts';
import { type Uploaded, uploadParts } from '../../../transfer/upload.ts';
import type { ObjectOrder } from './object-order.ts';
import type { ObjectStream, StreamVerdict } from './object-stream.ts';
import { uploadHolding } from './upload-holding.ts';

export interface ObjectSink {
  /** Bytes of the object that the store has so far. */
  storedBytes(): number;
  /** @throws the errors of `uploadParts`. */
  take(stream: ObjectStream, signal: AbortSignal): Promise<Uploaded<StreamVerdict>>;
}

/** @param from the checkpoint at which the stream starts or resumes. */
export function openUpload(order: ObjectOrder, from: UploadCheckpoint, store: ArchiveStore, host: Host): ObjectSink {
  const { facts, journal, streams, mustBeNew } = order;
  const kept = journal.resume?.parts.filter(({ number }) => number <= from.parts) ?? [];
  let stored = from.storedBytes;
  return {
    storedBytes: () => stored,
    async take(stream, signal) {
      const uploaded = await uploadParts(stream.parts, store.object(facts, { mustBeNew }), {
        streams,
        signal: AbortSignal.any([signal, stream.broken]),
        verdict: async (storedBytes) => {
          const verdict = await stream.verdict(storedBytes);
          journal.confirm();
          return verdict;
        },
        onStored: (bytes) => {
          stored += bytes;
        },
        onCreated: async (uploadId) => {
          const held = host.hold(uploadHolding(store.bucket, facts.key, uploadId));
          await journal.uploadStarted(uploadId, from);
          return held;
        },
        resume: journal.resume && { ...journal.resume, kept },
        leave: () => journal.leave(),
      });
      await journal.completed();
      return uploaded;
    },
  };
}
