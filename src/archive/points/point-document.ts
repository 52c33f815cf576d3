/** What maps and block lists have in common: JSON lines, of which the first one says what they describe. */
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import { readJsonLines } from '../json-lines.ts';
import { damagedPoint } from './damaged-point.ts';
import { POINT_FORMAT } from './point-manifest.ts';

/** The fields of a first line. */
export interface DocumentHeader {
  format?: number;
  layout?: string;
  snapshot?: string;
  /** Size of the disk in bytes. */
  bytes?: number;
  blockBytes?: number;
}

/** A document as it was fetched, decrypted. */
export interface FetchedDocument {
  body: Uint8Array;
  key: string;
  /** The snapshot that it must describe. */
  snapshot: string;
}

const NAMES = { map: 'the map', blocks: 'the list of the blocks' };

/** Maximum length of a decompressed document: 120 bytes per listed block. */
const MAX_BYTES = 2 ** 30;

/** Takes the lines of a document after the first one. Both methods throw if the document is not valid. */
export interface LineReader<Line, T> {
  take(line: Line): void;
  finish(): T;
}

/**
 * Reads a document, which is untrusted input.
 * @param open takes the first line, whose `snapshot` and `blockBytes` are right.
 * @throws SnapError `DIFFERS` if the document is not valid; the reason of the signal.
 */
export async function readPointDocument<Line extends DocumentHeader, T>(
  { body, key, snapshot }: FetchedDocument,
  layout: keyof typeof NAMES,
  signal: AbortSignal,
  open: (header: Line) => LineReader<Line, T>,
): Promise<T> {
  const opened = (header: Line) => {
    if (header.format !== POINT_FORMAT || header.layout !== layout || header.snapshot !== snapshot)
      throw new Error('another document');
    if (header.blockBytes !== BLOCK_BYTES) throw new Error('blocks of another size');
    return open(header);
  };
  let reader: LineReader<Line, T> | null = null;
  const take = (line: Line) => {
    if (reader) reader.take(line);
    else reader = opened(line);
  };
  try {
    await readJsonLines(body, MAX_BYTES, signal, take);
    return (reader ?? opened({} as Line)).finish();
  } catch (cause) {
    signal.throwIfAborted();
    throw damagedPoint(key, `it is not ${NAMES[layout]} of ${snapshot}`, cause);
  }
}
