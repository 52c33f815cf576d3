/** Encodings of text reports: UTF-8, or the UTF-16 that spreadsheets and PowerShell write. */

import { TextDecoder } from 'node:util';

/** Bytes needed to detect the encoding: a byte order mark, or two characters. */
const DETECTION_BYTES = 4;

/** @returns the text as UTF-8. Characters may be split between chunks. */
export async function* asUtf8(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let start = Buffer.alloc(0);
  let decoder: TextDecoder | null = null;
  for await (const chunk of chunks) {
    if (start.length < DETECTION_BYTES) {
      start = Buffer.concat([start, chunk]);
      if (start.length < DETECTION_BYTES) continue;
      decoder = decoderFor(start);
      yield decoder ? decoded(decoder, start) : start;
    } else {
      yield decoder ? decoded(decoder, chunk) : chunk;
    }
  }
  if (start.length < DETECTION_BYTES) yield start;
  else if (decoder) yield Buffer.from(decoder.decode());
}

const decoded = (decoder: TextDecoder, chunk: Uint8Array): Buffer =>
  Buffer.from(decoder.decode(chunk, { stream: true }));

/** In UTF-16 without a byte order mark, every other byte of a header is 0. @returns `null` for UTF-8. */
function decoderFor([first, second, third, fourth]: Buffer): TextDecoder | null {
  const isLittle = (first === 0xff && second === 0xfe) || (first !== 0 && second === 0 && fourth === 0);
  const isBig = (first === 0xfe && second === 0xff) || (first === 0 && second !== 0 && third === 0);
  if (!isLittle && !isBig) return null;
  return new TextDecoder(isLittle ? 'utf-16le' : 'utf-16be');
}
