/** Walks through a tree, and yields regularly to other tasks of the thread, such as the renewal of a claim. */

import { sleep } from '../../../lib/clock.ts';
import type { DiskEntry, DiskTree } from '../../../streams/disk-tree.ts';

/** Number of entries after which other tasks can run. */
const TURN = 4096;

/** @throws the reason of the signal. */
export async function* walkInTurns(tree: DiskTree, signal: AbortSignal): AsyncGenerator<DiskEntry> {
  let entries = 0;
  for (const entry of tree.walk()) {
    yield entry;
    entries++;
    if (entries % TURN === 0) await sleep(0, signal);
  }
}
