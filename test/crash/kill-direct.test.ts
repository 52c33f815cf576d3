/** `kill -9` of a run that reads snapshots directly: the same command finishes the work, and nothing is left behind. */
import { testCrashes } from '../support/processes/crash.ts';

testCrashes({ layout: 'tar', cipher: 'none', source: 'direct', moments: ['object started', 'tag set'] });
testCrashes({ layout: 'image', cipher: 'none', source: 'direct', moments: ['half-way', 'index stored'] });
