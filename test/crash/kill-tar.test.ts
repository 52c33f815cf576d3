/** `kill -9` of a run that stores tars: the same command finishes the work, and nothing is left behind. */
import { testCrashes } from '../support/processes/crash.ts';
import { FULL } from '../support/sampled.ts';

testCrashes({ layout: 'tar', cipher: 'none', moments: ['volume attached', 'half-way'] });
if (FULL) {
  testCrashes({ layout: 'tar', cipher: 'gpg', moments: [] });
  testCrashes({ layout: 'tar', cipher: 'none', partitions: 3, moments: [] });
}
