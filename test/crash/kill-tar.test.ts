/** `kill -9` of a run that stores tars: the same command finishes the work, and nothing is left behind. */
import { testCrashes } from '../support/crash.ts';
import { FULL } from '../support/sampled.ts';

testCrashes({ layout: 'tar', cipher: 'none', eachEvent: 16, randomTimes: FULL ? 10 : 0 });
if (FULL) {
  testCrashes({ layout: 'tar', cipher: 'gpg', eachEvent: 1, randomTimes: 10 });
  testCrashes({ layout: 'tar', cipher: 'none', partitions: 3, eachEvent: 1, randomTimes: 10 });
}
