/**
 * Compiles the program, as it is published.
 *
 *   node scripts/build.ts [DIRECTORY]     dist if not given
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
const [directory = join(root, 'dist')] = process.argv.slice(2);

/** What runs in the page has the types of a browser, and is compiled by itself. */
for (const project of ['tsconfig.build.json', 'tsconfig.page.build.json'])
  execFileSync('tsc', ['-p', join(root, project), '--outDir', directory], { stdio: 'inherit' });

await joinSdk('src/cloud/aws/sdk');

const STYLE = 'src/page/client/style.css';
copyFileSync(join(root, STYLE), join(directory, STYLE));
chmodSync(join(directory, 'src/bin.js'), 0o755);

/** Of the clients, only the operations that are used. The licences of what is in the file go with it. */
async function joinSdk(module: string): Promise<void> {
  const outfile = join(directory, `${module}.js`);
  const { metafile } = await build({
    entryPoints: [join(root, `${module}.ts`)],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    minifySyntax: true,
    minifyWhitespace: true,
    metafile: true,
    absWorkingDir: root,
    logLevel: 'warning',
    // A few of its modules ask for those of Node by `require`.
    banner: { js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
  });
  writeFileSync(`${outfile}.LICENSES`, licencesOf(Object.keys(metafile.inputs)));
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
