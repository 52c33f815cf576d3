/** What to store as one object of an archive, and how. */
import type { Encryption } from '../../../archive/cipher.ts';
import type { Checkpoint } from '../../../archive/claim.ts';
import type { Codec } from '../../../archive/codec.ts';
import type { ManifestObject } from '../../../archive/manifest.ts';
import type { ObjectFacts, PartReceipt } from '../../../cloud/ports.ts';
import type { Content } from './content.ts';
import type { StreamIndex } from './stream-index.ts';

export interface ObjectOrder {
  content: Content;
  facts: ObjectFacts;
  codec: Codec;
  encryption: Encryption | null;
  /** Parts on their way at once. */
  streams: number;
  snapshotId: string;
  /** `null` for a disk without a partition table, and for the image of a whole disk. */
  partition: number | null;
  /** What is known of an upload of this object that was broken off, and where to note this one. */
  journal: UploadJournal;
  /** `null` for what has none, or makes it elsewhere. */
  index: StreamIndex | null;
}

/** The memory of uploads that outlives this process. */
export interface UploadJournal {
  /** The upload to go on with, and its parts; `null` to begin anew. Everything else unfinished has been aborted. */
  resume: { uploadId: string; parts: readonly PartReceipt[]; checkpoints: readonly Checkpoint[] } | null;
  /** @param from where it is gone on with. */
  begun(uploadId: string, from: Checkpoint): Promise<void>;
  /** An upload that is broken off after this can be gone on with from here, once the parts before it are stored. */
  reached(checkpoint: Checkpoint): void;
  /** To be asked before the object becomes visible. @throws when it must not. */
  confirm(): void;
  /** To be told once the object is there, in the place of an older one perhaps. */
  completed(): Promise<void>;
  /** To be told what the object is, and again once it has an index: only then a later run can keep it. */
  stored(object: ManifestObject): Promise<void>;
  /** Whether an upload that fails is left for the next run. */
  leave(): boolean;
}
