/** Collects the licenses of the packages that are bundled in the published files. */
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * Returns each text once, below the names of its packages. For packages without a text, returns the license in their
 * package.json.
 * @param files the bundled files; paths are relative to `root`.
 */
export function licensesOf(root: string, files: readonly string[]): string {
  const paths = files.map((path) => resolve(root, path));
  const packages = new Set(paths.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []));
  const byText = new Map<string, string[]>();
  for (const path of packages) {
    const [file] = globSync(join(path, 'LICEN[SC]E*'));
    const text = file ? readFileSync(file, 'utf8') : `${declaredLicense(path)}\n`;
    byText.set(text, [...(byText.get(text) ?? []), path.replace(/^.*node_modules\//, '')]);
  }
  return [...byText].map(([text, names]) => `${names.sort().join(', ')}:\n\n${text}`).join('\n\n');
}

function declaredLicense(path: string): string {
  const { license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as { license?: string };
  if (!license) throw new Error(`${path} has no license`);
  return license;
}
