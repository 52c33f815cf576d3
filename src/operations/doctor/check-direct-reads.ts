/** Checks of the EBS direct APIs, for `--source direct` and `auto`. */
import { existsSync } from 'node:fs';
import type { Snapshot } from '../../cloud/ports.ts';
import { attempt, type Examination, type Finding, ok, warning } from './findings.ts';

/** The device of FUSE, which direct reads of files need. */
const FUSE = '/dev/fuse';

export async function* examineDirect(
  examination: Examination,
  snapshot: Snapshot | undefined,
): AsyncGenerator<Finding> {
  if (existsSync(FUSE)) yield ok('fuse', FUSE);
  else {
    const detail = `${FUSE} does not exist: direct reads work only for whole disks (--dd)`;
    yield warning('fuse', detail, 'load the kernel module: modprobe fuse');
  }
  const check = 'permission GetSnapshotBlock';
  if (!snapshot) {
    const hint = `tag a snapshot with ${examination.settings.tagKey}=migrate, and run the same command again`;
    yield warning(check, 'not checked: reading blocks needs a tagged snapshot', hint);
    return;
  }
  const found = await attempt(
    check,
    () => readOneBlock(examination, snapshot.id),
    (read) =>
      read ? `allowed for ${snapshot.id}, and ListSnapshotBlocks` : `not checked: ${snapshot.id} has no blocks`,
  );
  // With auto, snapshots that cannot be read directly are read from a volume.
  const isNeeded = examination.settings.source === 'direct';
  yield found.verdict === 'problem' && !isNeeded ? { ...found, verdict: 'warning' } : found;
}

/** @returns `false` if the snapshot has no blocks. @throws SnapError the errors of the calls. */
export async function readOneBlock({ services, signal }: Examination, snapshotId: string): Promise<boolean> {
  for await (const block of services.blocks.list(snapshotId, 0, { signal })) {
    await services.blocks.read(snapshotId, block, { signal });
    return true;
  }
  return false;
}
