/** In the published package, takes the place of `assets.ts`: the build has bundled the assets (scripts/build.ts). */
import { readFileSync } from 'node:fs';
import { ownFile } from '../lib/program-file.ts';
import type { Assets } from './assets.ts';

/** Read at each call: a page is written once in a run. */
export const readAssets = (): Assets => JSON.parse(readFileSync(ownFile('page/assets.json'), 'utf8')) as Assets;
