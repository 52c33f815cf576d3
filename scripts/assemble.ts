/**
 * Makes the program that decodes lz4 out of its source; to be run when that has changed.
 *
 *   node scripts/assemble.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import wabt from 'wabt';

const FOLDER = join(import.meta.dirname, '..', 'src', 'streams', 'lz4');

/** Where the result lies. */
export const DECODER = join(FOLDER, 'decoder.wasm');

export async function assembleDecoder(): Promise<Buffer> {
  const features = { simd: true, threads: true, bulk_memory: true };
  const source = 'decoder.wat';
  const { parseWat } = await wabt();
  const program = parseWat(source, readFileSync(join(FOLDER, source), 'utf8'), features);
  const { buffer } = program.toBinary({});
  program.destroy();
  return Buffer.from(buffer);
}

if (import.meta.main) writeFileSync(DECODER, await assembleDecoder());
