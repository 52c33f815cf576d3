/** The content of one object of an archive. */
import type { BlockIndexWriter } from '../../../archive/block-index.ts';
import type { Layout } from '../../../archive/key.ts';
import type { OpenImage } from '../../../transfer/block-image.ts';

export type Content =
  /**
   * The files below a directory. `expectedBytes` is an estimate. `damage` is called after everything was read, with the
   * number of members of the tar if they were counted. It returns damage that was found during the reading, or `null`.
   */
  | { kind: 'files'; directory: string; expectedBytes: number; damage: (members: number | null) => string | null }
  /** All bytes of a device, or of a snapshot's blocks; `expectedBytes` is exact. */
  | { kind: 'device'; device: string; expectedBytes: number }
  /**
   * Blocks of a disk, in frames of `frameBytes` plain bytes. `onFrame` is called with the positions of the frames, in the
   * plain stream and in the object; frames within long runs of zeros, and those of encrypted objects, are omitted.
   */
  | {
      kind: 'blocks';
      blocks: OpenImage;
      expectedBytes: number;
      frameBytes: number;
      onFrame: (plain: number, stored: number) => void;
      /** The index, to which the reader of the blocks adds them; `null` if another document lists them. */
      index: BlockIndexWriter | null;
    };

/** Content that a process or a device provides as a stream. */
export type StreamContent = Exclude<Content, { kind: 'blocks' }>;

export const layoutOf = ({ kind }: Content): Layout => (kind === 'files' ? 'tar' : 'image');
