/** `kill -9` of a run that stores tars: the same command finishes the work, and nothing is left behind. */
import { FULL, testCrashes } from '../support/crash.ts';

testCrashes({ layout: 'tar', cipher: 'none', eachEvent: FULL ? 1 : 5, randomTimes: FULL ? 10 : 1 });
testCrashes({ layout: 'tar', cipher: 'gpg', eachEvent: FULL ? 1 : 10, randomTimes: FULL ? 10 : 1 });
testCrashes({ layout: 'tar', cipher: 'none', partitions: 3, eachEvent: FULL ? 1 : 15, randomTimes: FULL ? 10 : 1 });
