/**
 * Provides the disk of a snapshot or an archive as a block device without a volume: another process serves its blocks as a
 * file, on which a loop device is attached. The disk is writable, so that journals can be replayed. Neither the snapshot nor
 * the archive changes.
 */
import { existsSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SnapError } from '../../errors.ts';
import type { Host } from '../../events.ts';
import { type BlockPlaces, writePlaces } from '../../fuse/block-places.ts';
import type { BucketAccess, DirectAccess, ServingOrder } from '../../fuse/serving-order.ts';
import { temporaryDirectory } from '../../lib/temporary-files.ts';
import { formatBytes } from '../../lib/units.ts';
import { type FoundDevice, setReadAhead } from '../devices/block-devices.ts';
import { attachLoop } from '../devices/loop-devices.ts';
import { endMount, isMounted } from '../filesystems/mounts.ts';
import { startServer } from './serving.ts';

export interface ServedDiskOptions {
  snapshotId: string;
  /** Size of the disk in bytes. */
  size: number;
  /** Maximum number of blocks in flight; of frames for an archive. */
  inFlight: number;
  source: SnapshotBytes | ArchiveBytes;
  host: Host;
  signal: AbortSignal;
}

export interface SnapshotBytes {
  kind: 'snapshot';
  access: DirectAccess;
  /** Bytes that were ever written; `null` if unknown. */
  dataBytes: number | null;
}

export interface ArchiveBytes {
  kind: 'archive';
  access: BucketAccess;
  places: BlockPlaces;
}

export interface ServedDisk extends AsyncDisposable {
  device: FoundDevice;
  /** A directory for mount points. Whatever a killed run has mounted there is found again with the disk. */
  directory: string;
  /**
   * Aborted with the reason when blocks cannot be read. Data that was read since then may be wrong. It is final once the disk
   * has been disposed of.
   */
  failed: AbortSignal;
  /** Stored bytes of an archive that were fetched. */
  fetchedBytes(): number;
}

/** Name of the file in its temporary directory. */
export const DISK = 'disk';

/** @throws SnapError `NOT_SUPPORTED_HERE`, `MOUNT_FAILED`, `STAGE_FAILED`, or like the source. */
export async function serveDisk(options: ServedDiskOptions): Promise<ServedDisk> {
  const { snapshotId, size, inFlight, host, signal } = options;
  await using parts = new AsyncDisposableStack();
  const directory = parts.use(temporaryDirectory());
  const file = join(directory.path, DISK);
  writeFileSync(file, '', { mode: 0o600 });
  // Runs last on disposal: the mount stays busy while its server is running.
  parts.defer(() => unmountFile(file));
  const source = sourceOf(options, directory.path);
  const order = {
    snapshotId,
    bytes: size,
    mountPoint: file,
    scratch: join(directory.path, 'scratch'),
    inFlight,
    source,
  };
  const server = parts.use(await startServer(order, host, signal));
  const loop = parts.use(await attachLoop(file, ['--direct-io=on']));
  await setReadAhead(loop.path, source.kind === 'snapshot', signal);
  const cleanup = parts.move();
  return {
    device: { path: loop.path, size },
    directory: directory.path,
    failed: server.failed,
    fetchedBytes: server.fetchedBytes,
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

function sourceOf({ snapshotId, source }: ServedDiskOptions, directory: string): ServingOrder['source'] {
  const { kind, access } = source;
  if (kind === 'archive') {
    writePlaces(directory, source.places);
    return { kind, access, places: directory };
  }
  assertFuse('direct reads of files require', 'use --source volume or --dd');
  assertSpace(directory, snapshotId, source.dataBytes);
  return { kind, access };
}

/**
 * @param need what needs FUSE, with its verb. @param otherwise what to do without it.
 * @throws SnapError `NOT_SUPPORTED_HERE`
 */
export function assertFuse(need: string, otherwise: string): void {
  if (existsSync('/dev/fuse')) return;
  throw new SnapError('NOT_SUPPORTED_HERE', `/dev/fuse is missing, which ${need}`, {
    hint: `run modprobe fuse (in a container: --device /dev/fuse --privileged), or ${otherwise}`,
  });
}

/** All blocks of a snapshot are fetched, and stay on disk until the end. */
function assertSpace(directory: string, snapshotId: string, dataBytes: number | null): void {
  const { bavail, bsize } = statfsSync(directory);
  if (dataBytes === null || dataBytes <= bavail * bsize) return;
  const [needed, free] = [formatBytes(dataBytes), formatBytes(bavail * bsize)];
  throw new SnapError('NOT_SUPPORTED_HERE', `${snapshotId} needs ${needed} in ${directory}; ${free} is free`, {
    hint: 'set TMPDIR to a directory with more space, use --source volume, or use --dd, which needs none',
  });
}

async function unmountFile(file: string): Promise<void> {
  if (isMounted(file)) await endMount('a served disk', file);
}
