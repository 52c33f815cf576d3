/** Detects whether code has changed since an observation or measurement. */
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from 'esbuild';

const ROOT = join(import.meta.dirname, '..', '..');

/**
 * Returns a fingerprint of the code that runs. It does not depend on the names, comments and imports of TypeScript
 * files. It depends on the whole text of other files.
 * @param pattern of paths below the root of the project.
 */
export function fingerprintOf(pattern: string): string {
  const hash = createHash('sha256');
  for (const code of globSync(pattern, { cwd: ROOT }).map(codeOf).sort()) hash.update(code);
  return hash.digest('hex').slice(0, 16);
}

function codeOf(path: string): string {
  const text = readFileSync(join(ROOT, path), 'utf8');
  if (!path.endsWith('.ts')) return text;
  return transformSync(text.replaceAll(/^import [^;]*;$/gm, ''), { loader: 'ts', minify: true }).code;
}
