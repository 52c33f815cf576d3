/** What a comparison finds. */
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
  /** Of the file, printable; empty where it is about the whole object. */
  path: string;
  detail: string;
}

/** Differences beyond this are counted, not kept: a wrong object has as many as it has files. */
export const KEPT = 1000;

export class DifferenceList {
  readonly kept: Difference[] = [];
  count = 0;

  add(kind: DifferenceKind, path: Buffer | string, detail: string): void {
    this.count++;
    if (this.kept.length < KEPT)
      this.kept.push({ kind, path: typeof path === 'string' ? path : printable(path), detail });
  }
}
