/** `kill -9` of a run that stores an image: the same command finishes the work, and nothing is left behind. */
import { FULL, testCrashes } from '../support/crash.ts';

testCrashes({ layout: 'image', cipher: 'none', eachEvent: FULL ? 1 : 8, randomTimes: FULL ? 10 : 1 });
testCrashes({ layout: 'image', cipher: 'gpg', eachEvent: FULL ? 1 : 12, randomTimes: FULL ? 10 : 1 });
