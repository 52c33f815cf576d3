/** The licences of the packages whose code is in what we publish. */
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * Each text once, below the names of the packages that it is for. Some packages have no text: of those, what their
 * package.json declares.
 * @param files what has been bundled; paths are relative to `root`.
 */
export function licencesOf(root: string, files: readonly string[]): string {
  const paths = files.map((path) => resolve(root, path));
  const packages = new Set(paths.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []));
  const byText = new Map<string, string[]>();
  for (const path of packages) {
    const [file] = globSync(join(path, 'LICEN[SC]E*'));
    const text = file ? readFileSync(file, 'utf8') : `${declaredLicence(path)}\n`;
    byText.set(text, [...(byText.get(text) ?? []), path.replace(/^.*node_modules\//, '')]);
  }
  return [...byText].map(([text, names]) => `${names.sort().join(', ')}:\n\n${text}`).join('\n\n');
}

function declaredLicence(path: string): string {
  const { license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as { license?: string };
  if (!license) throw new Error(`${path} has no licence`);
  return license;
}
