/** The differences that a comparison finds. */
import { printable } from '../lib/printable.ts';

export type DifferenceKind =
  | 'content'
  | 'damaged'
  | 'device'
  | 'disk'
  | 'duplicate'
  | 'index'
  | 'links'
  | 'mode'
  | 'mtime'
  | 'not-in-archive'
  | 'not-on-disk'
  | 'outside'
  | 'owner'
  | 'size'
  | 'stored-bytes'
  | 'target'
  | 'type'
  | 'wrong-object'
  | 'xattrs';

export interface Difference {
  kind: DifferenceKind;
  /** Printable path of the file; empty if the difference concerns the whole object. */
  path: string;
  detail: string;
}

/** Maximum number of differences to keep. Further ones are only counted: a wrong object differs in every file. */
export const MAX_KEPT_DIFFERENCES = 1000;

export class DifferenceList {
  readonly kept: Difference[] = [];
  count = 0;

  add(kind: DifferenceKind, path: Buffer | string, detail: string): void {
    this.count++;
    if (this.kept.length < MAX_KEPT_DIFFERENCES)
      this.kept.push({ kind, path: typeof path === 'string' ? path : printable(path), detail });
  }

  addAll({ kept, count }: DifferenceList): void {
    for (const { kind, path, detail } of kept) this.add(kind, path, detail);
    this.count += count - kept.length;
  }
}
