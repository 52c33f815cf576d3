/** What the page is made of besides its data: our style and script, and the library that draws the charts. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ownFile, programFile } from '../lib/program-file.ts';
import { linkModules } from './link-modules.ts';

export interface Assets {
  style: string;
  library: string;
  script: string;
}

/** Read at each call: a page is made once in a run. */
export const readAssets = (): Assets => ({
  style: readFileSync(ownFile('page/client/style.css'), 'utf8'),
  library: chartLibrary(),
  script: linkModules(programFile('page/client/main')),
});

/** The build for script elements lies beside the one for imports; it must not point to a map that is not there. */
function chartLibrary(): string {
  const file = new URL('chart.umd.min.js', import.meta.resolve('chart.js'));
  return readFileSync(fileURLToPath(file), 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '');
}
