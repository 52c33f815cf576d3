/** `kill -9` of a run that stores an image: the same command finishes the work, and nothing is left behind. */
import { testCrashes } from '../support/processes/crash.ts';
import { named } from '../support/sampled.ts';

const PLANS = {
  image: { layout: 'image', cipher: 'none', moments: ['object stored', 'manifest stored'] },
  'image, encrypted': { layout: 'image', cipher: 'gpg', moments: [] },
} as const;

for (const [, plan] of named(['image'], PLANS)) testCrashes(plan);
