/** One snapshot's image by the EBS direct APIs: no volume, no root, no instance. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BLOCK_BYTES } from '../cloud/blocks.ts';
import type { Snapshot } from '../cloud/ports.ts';
import { DIRECT_READS } from '../costs/prices.ts';
import { SnapError } from '../errors.ts';
import { temporaryDirectory } from '../lib/temporary-files.ts';
import { GiB, MiB } from '../lib/units.ts';
import { blockImage } from '../transfer/block-image.ts';
import type { Disk } from './check-archive.ts';
import { readDisk } from './read-disk.ts';
import type { MigrateSettings, Services } from './settings.ts';

export interface ChosenSource {
  source: 'volume' | 'direct';
  reason: string;
}

/** @throws SnapError the reason, where only direct reads will do and are not possible. */
export async function chooseSource(
  snapshot: Snapshot,
  settings: MigrateSettings,
  services: Services,
  signal: AbortSignal,
): Promise<ChosenSource> {
  if (settings.source === 'volume') return { source: 'volume', reason: 'as asked' };
  if (settings.layout === 'tar') return { source: 'volume', reason: 'files are read from a mounted volume' };
  try {
    await services.blocks.list(snapshot.id, 0, { signal }).next();
    return { source: 'direct', reason: 'images need no volume' };
  } catch (error) {
    const isReason = error instanceof SnapError && ['ACCESS_DENIED', 'SNAPSHOT_UNUSABLE'].includes(error.code);
    if (settings.source === 'direct' || !isReason) throw error;
    return { source: 'volume', reason: error.message };
  }
}

/** US dollars for reading all of a snapshot's data, at list prices; `null` where its size is not known. */
export const directCost = ({ dataBytes }: Snapshot): number | null =>
  dataBytes === null ? null : ((dataBytes / BLOCK_BYTES) * DIRECT_READS.thousandBlocks) / 1000;

export const imageOf = (snapshot: Snapshot, settings: MigrateSettings, { blocks, governor }: Services) =>
  blockImage({
    blocks,
    snapshotId: snapshot.id,
    bytes: snapshot.sizeGiB * GiB,
    inFlight: settings.blockStreams,
    governor,
  });

/** Where partition tables lie: at both ends of the disk. */
const ENDS = MiB;

/** The partition table, of a sparse file that has nothing but the ends of the disk. */
export async function readDiskEnds(snapshot: Snapshot, services: Services, signal: AbortSignal): Promise<Disk> {
  using directory = temporaryDirectory();
  const path = join(directory.path, snapshot.id);
  const size = snapshot.sizeGiB * GiB;
  {
    await using file = await open(path, 'wx', 0o600);
    await file.truncate(size);
    for (const end of [0, size - ENDS]) {
      for await (const block of services.blocks.list(snapshot.id, end / BLOCK_BYTES, { signal })) {
        if (block.index * BLOCK_BYTES >= end + ENDS) break;
        const bytes = await services.blocks.read(snapshot.id, block, { signal });
        await file.write(bytes, 0, bytes.length, block.index * BLOCK_BYTES);
      }
    }
  }
  return await readDisk(snapshot.id, { path, size }, services.host, signal);
}
