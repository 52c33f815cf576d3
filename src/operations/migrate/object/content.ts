/** What one object of an archive holds. */
import type { BlockIndexWriter } from '../../../archive/block-index.ts';
import type { Layout } from '../../../archive/key.ts';
import type { OpenImage } from '../../../transfer/block-image.ts';

export type Content =
  /**
   * The files below a directory. `expectedBytes` is an estimate; `damage` is asked once all has been read, with
   * the members of the tar where they were counted: what has been found to be damaged meanwhile, or `null`.
   */
  | { kind: 'files'; directory: string; expectedBytes: number; damage: (members: number | null) => string | null }
  /** All bytes of a device, or of a snapshot's blocks; `expectedBytes` is exact. */
  | { kind: 'device'; device: string; expectedBytes: number }
  /** The reader of the blocks adds them to `index`; the code that stores pieces adds the pieces. */
  | { kind: 'blocks'; blocks: OpenImage; expectedBytes: number; index: BlockIndexWriter };

export const layoutOf = ({ kind }: Content): Layout => (kind === 'files' ? 'tar' : 'image');
