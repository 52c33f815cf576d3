/**
 * Makes the program as it is published: few files, which load in half of the time
 * (docs/development/decisions/011-few-files.md).
 *
 *   node scripts/build.ts [DIRECTORY]     dist if not given
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');
const [directory = join(root, 'dist')] = process.argv.slice(2);

/** What is run or imported by its name; everything else lies in chunks. */
const ENTRIES = [
  'src/bin.ts',
  'src/index.ts',
  'src/fuse/serving-process.ts',
  'src/indexing/indexing-process.ts',
  'src/indexing/indexing-thread.ts',
  'src/streams/comparing-thread.ts',
  'src/streams/decoding-thread.ts',
  'src/streams/reading-thread.ts',
  'src/streams/warming-thread.ts',
];

/** What is read rather than imported. */
const FILES = ['src/page/client/style.css', 'src/streams/lz4/decoder.wasm'];

const COMMON: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  mainFields: ['module', 'main'],
  outdir: directory,
  outbase: root,
  absWorkingDir: root,
  logLevel: 'warning',
};

/**
 * The SDK names keys of its schemas by constants, `{ [_xN]: … }`. To evaluate such a key could have an effect, for all that
 * esbuild knows, so it keeps the schemas of all 700 operations of EC2. With the names in their places it keeps what is used.
 */
const namedKeys: Plugin = {
  name: 'named keys',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/dist-es\/schemas\/schemas_\d+\.js$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      const names = new Map(
        Array.from(text.matchAll(/^const (_\w+) = ("\w+");$/gm), ([, name, value]) => [name, value]),
      );
      return { contents: text.replace(/\[(_\w+)\](?=:)/g, (key, name) => names.get(name) ?? key) };
    }),
};

/** An `import` of Node's `http` asks for all that it exports, so that Node loads its own `fetch` and `WebSocket` too. */
const quietHttp: Plugin = {
  name: 'quiet http',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^(node:)?http$/ }, () => ({ path: 'http', namespace: 'builtin' }));
    onLoad({ filter: /^http$/, namespace: 'builtin' }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http');",
    }));
  },
};

for (const part of ['src', 'lab']) rmSync(join(directory, part), { recursive: true, force: true });
declareTypes();
compilePage();
await joinProgram();
await joinLab();

function declareTypes(): void {
  execFileSync('tsc', ['-p', join(root, 'tsconfig.build.json'), '--outDir', directory], { stdio: 'inherit' });
}

/** What runs in the page has the types of a browser, and stays file by file: a page is made of them when it is written. */
function compilePage(): void {
  execFileSync('tsc', ['-p', join(root, 'tsconfig.page.build.json'), '--outDir', directory], { stdio: 'inherit' });
}

/** Chunks lie one below `src`, on which `src/lib/program-file.ts` relies. The licences of what is in them go with them. */
async function joinProgram(): Promise<void> {
  const { metafile } = await build({
    ...COMMON,
    entryPoints: ENTRIES,
    splitting: true,
    chunkNames: 'src/chunks/[name]-[hash]',
    plugins: [namedKeys, quietHttp],
    metafile: true,
    // Some of the packages ask for modules of Node by `require`.
    banner: {
      js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);",
    },
  });
  for (const file of FILES) {
    mkdirSync(join(directory, dirname(file)), { recursive: true });
    copyFileSync(join(root, file), join(directory, file));
  }
  chmodSync(join(directory, 'src/bin.js'), 0o755);
  writeFileSync(join(directory, 'LICENSES'), licencesOf(Object.keys(metafile.inputs)));
}

/** The local cloud needs all of the SDK's schemas, and takes its packages from where they are installed. */
async function joinLab(): Promise<void> {
  await build({ ...COMMON, entryPoints: ['lab/daemon.ts'], packages: 'external' });
}

/** Each text once, under the names of the packages that it is for; of some, only what their package.json says. */
function licencesOf(files: readonly string[]): string {
  const packages = new Set(files.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []));
  const byText = new Map<string, string[]>();
  for (const path of packages) {
    const [file] = globSync(join(root, path, 'LICENSE*'));
    const text = file ? readFileSync(file, 'utf8') : `${declaredLicence(path)}\n`;
    byText.set(text, [...(byText.get(text) ?? []), path.replace(/^.*node_modules\//, '')]);
  }
  return [...byText].map(([text, names]) => `${names.sort().join(', ')}:\n\n${text}`).join('\n\n');
}

function declaredLicence(path: string): string {
  const { license } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as { license?: string };
  if (!license) throw new Error(`${path} has no licence`);
  return license;
}
