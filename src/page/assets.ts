/** The assets of the page: its style, and its script, which includes the chart library. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

export interface Assets {
  style: string;
  script: string;
}

export interface BundledAssets extends Assets {
  /** The source files of the script. */
  inputs: string[];
}

const CLIENT = new URL('client/', import.meta.url);

/**
 * Bundles the assets from their sources. A checkout does this for each page; the build of the package does it once, and
 * replaces this module by `packaged-assets.ts`.
 */
export const readAssets = (): BundledAssets => ({
  style: readFileSync(new URL('style.css', CLIENT), 'utf8'),
  ...bundleScript(fileURLToPath(new URL('main.ts', CLIENT))),
});

/**
 * Bundles a module and all its imports to one script. esbuild escapes `</script`, so the script can be embedded in HTML.
 * @throws Error if an import cannot be found.
 */
export function bundleScript(entry: string): { script: string; inputs: string[] } {
  const { outputFiles, metafile } = buildSync({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    platform: 'browser',
    target: 'es2024',
    format: 'iife',
    legalComments: 'inline',
    charset: 'utf8',
    tsconfigRaw: {},
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  return {
    script: outputFiles.map(({ text }) => text).join(''),
    inputs: Object.keys(metafile.inputs).map((path) => resolve(path)),
  };
}
