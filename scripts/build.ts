/**
 * Builds the published program. It consists of few files, which load in half of the time and need no package
 * (docs/development/decisions/011-few-files.md).
 *
 *   node scripts/build.ts [DIRECTORY]     (default: dist)
 */
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { readAssets } from '../src/page/assets.ts';
import { writeDeclarations } from './build/declarations.ts';
import { licensesOf } from './build/licenses.ts';
import { namedKeys, quietHttp } from './build/rewriting.ts';

const root = join(import.meta.dirname, '..');
const [directory = join(root, 'dist')] = process.argv.slice(2);

/** The files that are run or imported by name. All other code is in chunks. */
const ENTRIES = [
  'src/bin.ts',
  'src/index.ts',
  'src/fuse/serving-process.ts',
  'src/indexing/indexing-process.ts',
  'src/indexing/compressing-thread.ts',
  'src/indexing/indexing-thread.ts',
  'src/streams/sink-thread.ts',
  'src/streams/decoding-thread.ts',
  'src/streams/reading-thread.ts',
  'src/streams/warming-thread.ts',
];

/** Files that are read, not imported. */
const FILES = ['src/lz4/coder.wasm'];

const COMMON: BuildOptions = {
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  mainFields: ['module', 'main'],
  outdir: directory,
  outbase: root,
  absWorkingDir: root,
  metafile: true,
  logLevel: 'warning',
  // Some packages load modules of Node with `require`.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);",
  },
};

/** A checkout bundles the assets of the page each time it writes a page. The package contains the bundled assets. */
const packagedAssets: Plugin = {
  name: 'packaged assets',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/assets\.ts$/ }, () => ({ path: join(root, 'src/page/packaged-assets.ts') })),
};

for (const part of ['src', 'lab']) rmSync(join(directory, part), { recursive: true, force: true });
writeDeclarations(root, directory);
const bundled = [...bundlePage(), ...(await bundleProgram()), ...(await bundleLab())];
writeFileSync(join(directory, 'LICENSES'), licensesOf(root, bundled));

/** @returns the bundled files, like the other functions that bundle. */
function bundlePage(): string[] {
  const { inputs, ...assets } = readAssets();
  mkdirSync(join(directory, 'src/page'), { recursive: true });
  writeFileSync(join(directory, 'src/page/assets.json'), JSON.stringify(assets));
  return inputs;
}

/** `src/lib/program-file.ts` relies on chunks being one folder below `src`. */
async function bundleProgram(): Promise<string[]> {
  const { metafile } = await build({
    ...COMMON,
    entryPoints: ENTRIES,
    chunkNames: 'src/chunks/[name]-[hash]',
    plugins: [packagedAssets, namedKeys, quietHttp],
  });
  for (const file of FILES) {
    mkdirSync(join(directory, dirname(file)), { recursive: true });
    copyFileSync(join(root, file), join(directory, file));
  }
  chmodSync(join(directory, 'src/bin.js'), 0o755);
  return Object.keys(metafile?.inputs ?? {});
}

/** The lab is a separate bundle, because it needs all schemas of EC2. The program needs only those that it uses. */
async function bundleLab(): Promise<string[]> {
  const { metafile } = await build({
    ...COMMON,
    entryPoints: ['lab/daemon.ts'],
    chunkNames: 'lab/chunks/[name]-[hash]',
  });
  return Object.keys(metafile?.inputs ?? {});
}
