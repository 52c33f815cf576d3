/** What a comparison finds. */

export type DifferenceKind =
  | 'content'
  | 'damaged'
  | 'device'
  | 'duplicate'
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
const KEPT = 1000;

export class DifferenceList {
  readonly kept: Difference[] = [];
  count = 0;

  add(kind: DifferenceKind, path: Buffer | string, detail: string): void {
    this.count++;
    if (this.kept.length < KEPT) this.kept.push({ kind, path: showPath(path), detail });
  }
}

/** Names are bytes: what is not printable UTF-8 is shown as `\xff`. */
function showPath(path: Buffer | string): string {
  if (typeof path === 'string') return path;
  const text = path.toString('utf8');
  if (Buffer.from(text).equals(path) && !/\p{Cc}/u.test(text)) return text;
  return path.toString('latin1').replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
