/**
 * Compiles the program, as it is published.
 *
 *   node scripts/build.ts [DIRECTORY]     dist if not given
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const [directory = join(root, 'dist')] = process.argv.slice(2);

/** What runs in the page has the types of a browser, and is compiled by itself. */
for (const project of ['tsconfig.build.json', 'tsconfig.page.build.json'])
  execFileSync('tsc', ['-p', join(root, project), '--outDir', directory], { stdio: 'inherit' });

const STYLE = 'src/page/client/style.css';
copyFileSync(join(root, STYLE), join(directory, STYLE));
chmodSync(join(directory, 'src/bin.js'), 0o755);
