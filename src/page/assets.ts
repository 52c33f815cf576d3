/** What the page is made of besides its data: the style, and the script, which includes the library that draws the charts. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

export interface Assets {
  style: string;
  script: string;
}

export interface BundledAssets extends Assets {
  /** The files that are in the script. */
  inputs: string[];
}

const CLIENT = new URL('client/', import.meta.url);

/**
 * Bundles the assets from their sources, as a checkout does each time that it writes a page. The build does it once, and
 * puts `packaged-assets.ts` in the place of this module.
 */
export const readAssets = (): BundledAssets => ({
  style: readFileSync(new URL('style.css', CLIENT), 'utf8'),
  ...bundleScript(fileURLToPath(new URL('main.ts', CLIENT))),
});

/**
 * One script of a module and everything that it imports. esbuild writes `</script` so that it does not end the element
 * that the script stands in.
 * @throws Error for an import that cannot be found
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
