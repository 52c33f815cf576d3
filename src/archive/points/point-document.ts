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

/**
 * Reads a document, which is untrusted input.
 * @param parse takes the first line, whose `snapshot` and `blockBytes` are right, and the lines after it.
 * @throws SnapError `DIFFERS` if `parse` throws; the reason of the signal.
 */
export async function readPointDocument<Line extends DocumentHeader, T>(
  { body, key, snapshot }: FetchedDocument,
  layout: keyof typeof NAMES,
  signal: AbortSignal,
  parse: (header: Line, lines: AsyncGenerator<Line>) => Promise<T>,
): Promise<T> {
  try {
    const lines = readJsonLines<Line>(body, MAX_BYTES, signal);
    const header = (await lines.next()).value ?? ({} as Line);
    if (header.format !== POINT_FORMAT || header.layout !== layout || header.snapshot !== snapshot)
      throw new Error('another document');
    if (header.blockBytes !== BLOCK_BYTES) throw new Error('blocks of another size');
    return await parse(header, lines);
  } catch (cause) {
    signal.throwIfAborted();
    throw damagedPoint(key, `it is not ${NAMES[layout]} of ${snapshot}`, cause);
  }
}
