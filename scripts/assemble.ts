/**
 * Assembles the program that encodes and decodes lz4. Run it after you have changed its source.
 *
 *   node scripts/assemble.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import wabt from 'wabt';

const FOLDER = join(import.meta.dirname, '..', 'src', 'lz4');

/** The path of the result. */
export const CODER = join(FOLDER, 'coder.wasm');

export async function assembleCoder(): Promise<Buffer> {
  const features = { simd: true, threads: true, bulk_memory: true };
  const source = 'coder.wat';
  const { parseWat } = await wabt();
  const program = parseWat(source, readFileSync(join(FOLDER, source), 'utf8'), features);
  const { buffer } = program.toBinary({});
  program.destroy();
  return Buffer.from(buffer);
}

if (import.meta.main) writeFileSync(CODER, await assembleCoder());
