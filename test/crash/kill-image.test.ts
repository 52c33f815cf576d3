/** `kill -9` of a run that stores an image: the same command finishes the work, and nothing is left behind. */
import { testCrashes } from '../support/processes/crash.ts';
import { FULL } from '../support/sampled.ts';

testCrashes({ layout: 'image', cipher: 'none', moments: ['object stored', 'manifest stored'] });
if (FULL) testCrashes({ layout: 'image', cipher: 'gpg', moments: [] });
