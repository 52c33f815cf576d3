/** Writes the declarations of the library: only those that its users can reach, and none that need a package. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';

const ENTRY = 'src/index.d.ts';

/**
 * Writes the declarations below `directory`.
 * @throws Error if a declaration imports a package, because packages are not installed with the program
 */
export function writeDeclarations(root: string, directory: string): void {
  for (const [path, text] of declarationsOf(root)) {
    mkdirSync(join(directory, dirname(path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
}

/** @returns the texts of the declarations by their paths, such as `src/index.d.ts`, which comes first. */
export function declarationsOf(root: string): Map<string, string> {
  const everything = mkdtempSync(join(tmpdir(), 'snap-to-s3-declarations-'));
  try {
    execFileSync('tsc', ['-p', join(root, 'tsconfig.build.json'), '--outDir', everything], { stdio: 'inherit' });
    return reachedFrom(ENTRY, (path) => readFileSync(join(everything, path), 'utf8'));
  } finally {
    rmSync(everything, { recursive: true, force: true });
  }
}

/** @param read returns the text of the declaration file with a path. */
export function reachedFrom(entry: string, read: (path: string) => string): Map<string, string> {
  const reached = new Map<string, string>();
  const waiting = [entry];
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    if (reached.has(path)) continue;
    const text = read(path);
    reached.set(path, text);
    for (const [, name = ''] of text.matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)) {
      if (name.startsWith('.')) waiting.push(normalize(join(dirname(path), name.replace(/\.ts$/, '.d.ts'))));
      else if (!name.startsWith('node:')) throw new Error(`${path} declares types of a package: ${name}`);
    }
  }
  return reached;
}
