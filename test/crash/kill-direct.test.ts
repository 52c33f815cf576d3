/** `kill -9` of a run that reads snapshots directly: the same command finishes the work, and nothing is left behind. */
import { testCrashes } from '../support/crash.ts';
import { FULL } from '../support/sampled.ts';

testCrashes({ layout: 'tar', cipher: 'none', source: 'direct', eachEvent: 24, randomTimes: FULL ? 10 : 0 });
testCrashes({
  layout: 'image',
  cipher: 'none',
  source: 'direct',
  eachEvent: 24,
  randomTimes: FULL ? 10 : 0,
});
