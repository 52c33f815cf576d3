/** What a manifest says of a disk. */
import type { Manifest } from '../archive/manifest.ts';
import { tableFacts } from '../archive/partition-facts.ts';
import type { Difference } from '../compare/difference.ts';
import { treatmentOf } from '../host/filesystems.ts';
import { isExtended } from '../host/partition-table.ts';
import { nothingOf } from './check-archive.ts';

/** What it names itself, and has no object of. A sealed one does not show its partition table. */
export function missingByManifest({ disk, objects, recorded = [] }: Manifest): Difference[] {
  const held = new Set(objects.map(({ partition }) => partition));
  if (held.has(null)) return [];
  const isLeftOut = (filesystem: string | null) => treatmentOf({ type: filesystem, usage: null }).how === 'record';
  const leftOut = recorded.filter(({ filesystem }) => isLeftOut(filesystem)).map(({ partition }) => partition);
  const named = [...partitionsIn(disk), ...recorded.map(({ partition }) => partition)];
  const isEmpty = held.size === 0 && named.length === 0 && disk.partitionTable === null;
  const missing = new Set(isEmpty ? [null] : named.filter((part) => !held.has(part) && !leftOut.includes(part)));
  return [...missing].map((part) => nothingOf(part === null ? 'the disk' : `partition ${part}`));
}

const partitionsIn = ({ table, partitionTable }: Manifest['disk']): number[] =>
  tableFacts(partitionTable)
    .partitions.filter(({ type }) => table !== 'dos' || !isExtended(type ?? ''))
    .map(({ number }) => number);
