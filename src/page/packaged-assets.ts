/** Replaces `assets.ts` in the published package, for which the build bundles the assets (scripts/build.ts). */
import { readFileSync } from 'node:fs';
import { ownFile } from '../lib/program-file.ts';
import type { Assets } from './assets.ts';

/** They are not cached, because a run writes at most one page. */
export const readAssets = (): Assets => JSON.parse(readFileSync(ownFile('page/assets.json'), 'utf8')) as Assets;
