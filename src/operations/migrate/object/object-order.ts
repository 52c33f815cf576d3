/** What to store as one object of an archive, and how. */
import type { Encryption } from '../../../archive/cipher.ts';
import type { Checkpoint } from '../../../archive/claim.ts';
import type { Codec } from '../../../archive/codec.ts';
import type { ObjectFacts, PartReceipt } from '../../../cloud/ports.ts';
import type { OpenImage } from '../../../transfer/block-image.ts';
import type { StreamIndex } from './stream-index.ts';

export type Content =
  /**
   * The files below a directory. `expectedBytes` is an estimate; `damage` is asked once all has been read, with
   * the members of the tar where they were counted: what has been found to be damaged meanwhile, or `null`.
   */
  | { layout: 'tar'; directory: string; expectedBytes: number; damage: (members: number | null) => string | null }
  /** All bytes of a device, or of a snapshot's blocks; `expectedBytes` is exact. */
  | { layout: 'image'; device: string; expectedBytes: number }
  | { layout: 'image'; blocks: OpenImage; expectedBytes: number; onPiece: (plain: number, stored: number) => void };

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
  /** Whether an upload that fails is left for the next run. */
  leave(): boolean;
}
