/** `kill -9` of a run that stores tars: the same command finishes the work, and nothing is left behind. */
import { FULL, testCrashes } from '../support/crash.ts';

testCrashes({ layout: 'tar', cipher: 'none', eachEvent: 1, randomTimes: FULL ? 10 : 3 });
testCrashes({ layout: 'tar', cipher: 'gpg', eachEvent: FULL ? 1 : 6, randomTimes: FULL ? 10 : 1 });
testCrashes({ layout: 'tar', cipher: 'none', partitions: 3, eachEvent: FULL ? 1 : 9, randomTimes: FULL ? 10 : 1 });
