/** The EBS direct APIs, as `--source direct` and `auto` use them. */
import { existsSync } from 'node:fs';
import type { Snapshot } from '../../cloud/ports.ts';
import { attempt, type Examination, type Finding, ok, warning } from './findings.ts';

/** Through which a snapshot is shown as a file, to read the files in it. */
const FUSE = '/dev/fuse';

export async function* examineDirect(
  examination: Examination,
  snapshot: Snapshot | undefined,
): AsyncGenerator<Finding> {
  if (existsSync(FUSE)) yield ok('fuse', FUSE);
  else yield warning('fuse', `there is no ${FUSE}: only whole disks (--dd) can be read directly`, 'modprobe fuse');
  const check = 'permission GetSnapshotBlock';
  if (!snapshot) {
    const hint = `tag a snapshot ${examination.settings.tagKey}=migrate, and run this again`;
    yield warning(check, 'reading blocks cannot be tried without a snapshot', hint);
    return;
  }
  const found = await attempt(
    check,
    () => readOneBlock(examination, snapshot.id),
    (read) => (read ? `allowed, and ListSnapshotBlocks, of ${snapshot.id}` : `${snapshot.id} has no blocks to try`),
  );
  // With auto, a volume is made of what cannot be read directly.
  const isNeeded = examination.settings.source === 'direct';
  yield found.verdict === 'problem' && !isNeeded ? { ...found, verdict: 'warning' } : found;
}

/** @returns `false` where there is none. */
export async function readOneBlock({ services, signal }: Examination, snapshotId: string): Promise<boolean> {
  for await (const block of services.blocks.list(snapshotId, 0, { signal })) {
    await services.blocks.read(snapshotId, block, { signal });
    return true;
  }
  return false;
}
