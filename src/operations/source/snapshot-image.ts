/** The image of a snapshot through the EBS direct APIs, without a volume, root or an instance. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlockIndexWriter } from '../../archive/block-index.ts';
import { BLOCK_BYTES } from '../../cloud/blocks.ts';
import type { Snapshot } from '../../cloud/ports.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { GiB, MiB } from '../../lib/units.ts';
import { blockImage, type OpenImage } from '../../transfer/block-image.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';
import { type Disk, readDisk } from './read-disk.ts';

/** @param index receives every block. @returns a function that opens the image at an offset in bytes. */
export const imageOf =
  (
    snapshot: Snapshot,
    settings: MigrateSettings,
    { blocks, rateLimiter }: Services,
    index: BlockIndexWriter,
  ): OpenImage =>
  (from, signal) => {
    index.stored(from / BLOCK_BYTES);
    return blockImage({
      blocks,
      snapshotId: snapshot.id,
      bytes: snapshot.sizeGiB * GiB,
      from,
      inFlight: settings.blockStreams,
      rateLimiter,
      signal,
      onBlock: (number, { bytes, sha256 }) => index.block(number, isZeroBlock(bytes) ? null : sha256),
    });
  };

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);

export const isZeroBlock = (bytes: Uint8Array): boolean => ZERO_BLOCK.equals(bytes);

/** Bytes at both ends of the disk that are read. Partition tables are located there. */
const ENDS = MiB;

/** Reads the partition table from a sparse file that contains only both ends of the disk. */
export async function readDiskEnds(snapshot: Snapshot, services: Services, signal: AbortSignal): Promise<Disk> {
  await using directory = temporaryDirectory();
  const path = join(directory.path, snapshot.id);
  const size = snapshot.sizeGiB * GiB;
  {
    await using file = await open(path, 'wx', 0o600);
    await file.truncate(size);
    for (const end of [0, size - ENDS]) {
      for await (const block of services.blocks.list(snapshot.id, end / BLOCK_BYTES, { signal })) {
        if (block.index * BLOCK_BYTES >= end + ENDS) break;
        const { bytes } = await services.blocks.read(snapshot.id, block, { signal });
        await file.write(bytes, 0, bytes.length, block.index * BLOCK_BYTES);
      }
    }
  }
  return await readDisk(snapshot.id, { path, size }, services.host, signal);
}
