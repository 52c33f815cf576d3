/** A walk through a tree by a thread that has other things to do as well, such as renewing a claim. */

import { sleep } from '../../../lib/clock.ts';
import type { DiskEntry, DiskTree } from '../../../streams/disk-tree.ts';

/** Entries after which others have their turn. */
const TURN = 4096;

/** @throws the signal's reason. */
export async function* walkInTurns(tree: DiskTree, signal: AbortSignal): AsyncGenerator<DiskEntry> {
  let entries = 0;
  for (const entry of tree.walk()) {
    yield entry;
    entries++;
    if (entries % TURN === 0) await sleep(0, signal);
  }
}
