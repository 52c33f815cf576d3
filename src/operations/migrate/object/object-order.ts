/** The order to store one object of an archive. */
import type { Encryption } from '../../../archive/cipher.ts';
import type { UploadCheckpoint } from '../../../archive/claim.ts';
import type { Codec } from '../../../archive/codec.ts';
import type { ManifestObject } from '../../../archive/manifest.ts';
import type { ObjectFacts, PartReceipt } from '../../../cloud/ports.ts';
import type { Content } from './content.ts';
import type { StreamIndex } from './stream-index.ts';

export interface ObjectOrder {
  content: Content;
  facts: ObjectFacts;
  /** Whether the key must be free, because other archives may depend on the object that has it. */
  mustBeNew: boolean;
  codec: Codec;
  encryption: Encryption | null;
  /** Number of parts in flight. */
  streams: number;
  snapshotId: string;
  /** `null` for a disk without a partition table, and for the image of a whole disk. */
  partition: number | null;
  /** Knows the interrupted upload of this object, if there is one, and records this one. */
  journal: UploadJournal;
  /** `null` for blocks, whose index is part of the content. */
  index: StreamIndex | null;
}

/** A record of uploads that outlives this process. */
export interface UploadJournal {
  /** The upload to resume, and its parts; `null` starts a new one. Every other unfinished upload has been aborted. */
  resume: { uploadId: string; parts: readonly PartReceipt[]; checkpoints: readonly UploadCheckpoint[] } | null;
  /** @param from the checkpoint at which the upload starts or resumes. */
  uploadStarted(uploadId: string, from: UploadCheckpoint): Promise<void>;
  /** An upload that is interrupted later can resume here, once the parts before it are stored. */
  reached(checkpoint: UploadCheckpoint): void;
  /** Call it before the object becomes visible. @throws the reason if the object must not become visible. */
  confirm(): void;
  /** Call it once the object exists; it may have replaced an older one. */
  completed(): Promise<void>;
  /** Call it with the stored object, and again once it has an index: a later run can keep it only then. */
  stored(object: ManifestObject): Promise<void>;
  /** Whether an upload that fails is left for the next run. */
  leave(): boolean;
}
