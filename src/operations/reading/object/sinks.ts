/** The sinks for the plain bytes of an object: comparisons, and targets to which they are written while they are compared. */
import type { BlockTable } from '../../../archive/block-table.ts';
import type { Difference } from '../../../streams/difference.ts';
import type { ImageTarget } from '../../../streams/image-to-file.ts';
import type { TarAlone } from '../../../streams/tar/tar-alone.ts';
import type { FilesTarget } from '../../../streams/tar/tar-to-files.ts';
import type { Extent } from '../../../transfer/download.ts';

/** The data that an object is compared with. */
export type Reference =
  /** The filesystem that is mounted below a directory. */
  | { kind: 'tree'; root: string; contentOnly: boolean; filesystem: string }
  | { kind: 'device'; device: string }
  /** The blocks according to the index. */
  | { kind: 'blocks'; table: BlockTable }
  /** The index of the object itself, if there is one. */
  | ({ kind: 'alone' } & TarAlone);

/** The ranges of the object that are fetched; `null` for the whole object. */
interface Fetched {
  extents: readonly Extent[] | null;
}

/** The target to which an object, or a part of it, is written. */
export type WriteTarget =
  | ({ kind: 'image' } & Fetched & ImageTarget)
  | ({ kind: 'files' } & Fetched & FilesTarget)
  /** A function that reads the stream and closes the descriptor. */
  | ({ kind: 'pipe'; take: (descriptor: number, signal: AbortSignal) => Promise<TakenStream> } & Fetched);

export type Sink = Reference | WriteTarget;

/** The facts about a plain stream that such a function has read. */
export interface TakenStream {
  plainBytes: number;
  /** Hexadecimal. */
  plainSha256: string;
  differences: Difference[];
}

/** @returns the ranges to fetch; `null` for the whole object. */
export function extentsOf(sink: Sink): readonly Extent[] | null {
  switch (sink.kind) {
    case 'image':
    case 'files':
    case 'pipe':
      return sink.extents;
    default:
      return null;
  }
}
