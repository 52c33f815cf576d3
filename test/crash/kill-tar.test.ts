/** `kill -9` of a run that stores tars: the same command finishes the work, and nothing is left behind. */
import { testCrashes } from '../support/processes/crash.ts';
import { named } from '../support/sampled.ts';

const PLANS = {
  tar: { layout: 'tar', cipher: 'none', moments: ['volume attached', 'half-way'] },
  'tar, encrypted': { layout: 'tar', cipher: 'gpg', moments: [] },
  'tar, three partitions at once': { layout: 'tar', cipher: 'none', partitions: 3, moments: [] },
} as const;

for (const [, plan] of named(['tar'], PLANS)) testCrashes(plan);
