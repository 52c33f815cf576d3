/** Where the plain bytes of an object go: into a comparison alone, or to where they are written and compared on the way. */
import type { BlockTable } from '../../../archive/block-table.ts';
import type { Difference } from '../../../streams/difference.ts';
import type { ImageTarget } from '../../../streams/image-to-file.ts';
import type { TarAlone } from '../../../streams/tar/tar-alone.ts';
import type { FilesTarget } from '../../../streams/tar/tar-to-files.ts';
import type { Extent } from '../../../transfer/download.ts';

/** What an object is compared with. */
export type Reference =
  /** The filesystem that is mounted below a directory. */
  | { kind: 'tree'; root: string; contentOnly: boolean; filesystem: string }
  | { kind: 'device'; device: string }
  /** What the index says of its blocks. */
  | { kind: 'blocks'; table: BlockTable }
  /** Its own index, where there is one. */
  | ({ kind: 'alone' } & TarAlone);

/** What is fetched of an object; `null`: all of it. */
interface Fetched {
  extents: readonly Extent[] | null;
}

/** Where an object, or a part of it, is written. */
export type WriteTarget =
  | ({ kind: 'image' } & Fetched & ImageTarget)
  | ({ kind: 'files' } & Fetched & FilesTarget)
  /** Given to somebody who closes the descriptor. */
  | ({ kind: 'pipe'; take: (descriptor: number, signal: AbortSignal) => Promise<TakenStream> } & Fetched);

export type Sink = Reference | WriteTarget;

/** What is known of a plain stream that somebody else has taken. */
export interface TakenStream {
  plainBytes: number;
  /** In base 16. */
  plainSha256: string;
  differences: Difference[];
}

/** What is wanted of the object; `null`: all of it. */
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
