/** `kill -9` of a run that reads snapshots directly: the same command finishes the work, and nothing is left behind. */
import { FULL, testCrashes } from '../support/crash.ts';

testCrashes({ layout: 'tar', cipher: 'none', source: 'direct', eachEvent: FULL ? 1 : 7, randomTimes: FULL ? 10 : 0 });
testCrashes({ layout: 'image', cipher: 'none', source: 'direct', eachEvent: FULL ? 1 : 7, randomTimes: FULL ? 10 : 0 });
