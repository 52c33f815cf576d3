/** What of an archive's files is to be restored and where to, before anything is fetched or written. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { SnapError } from '../../../errors.ts';
import type { Host } from '../../../events.ts';
import { formatBytes } from '../../../lib/units.ts';
import { chooseMembers, type MemberChoice, type WantedMembers } from '../../reading/choose-members.ts';
import type { Archive, ArchivedObject } from '../../reading/find-archive.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import { RestoredBefore } from '../../reading/restored-before.ts';
import type { FilesOrder, RestoreSettings } from '../../shared/settings/restore.ts';
import { neededObjects } from './needed-objects.ts';
import { type FoundDirectory, lookAtDirectory } from './restore-directory.ts';

/** The files of one object. */
export interface FilesPlan {
  object: ArchivedObject;
  directory: FoundDirectory;
  /** `null` where everything comes. */
  chosen: ChosenMembers | null;
  /** `null` where everything comes, and where no index tells. */
  wanted: WantedMembers | null;
  /** Bytes that they take below the directory; `null` where that is not known. */
  neededBytes: number | null;
}

/** What is to be fetched, and what is there already. */
export interface ChosenMembers {
  /** `null` without an index. */
  choice: MemberChoice | null;
  before: RestoredBefore | null;
}

/**
 * Writes nothing below the directory. What is in an archive class and holds nothing of what was asked for is left out.
 * @param scratch a directory for what is noted of the members that come.
 * @throws SnapError `NOT_FOUND`, `TARGET`; `MANIFEST` for an index that is damaged, `GPG_KEY` for one that cannot be
 *   decrypted: before anything is paid for.
 */
export async function planFiles(
  archive: Archive,
  order: FilesOrder,
  settings: RestoreSettings,
  scratch: string,
  check: ReadContext,
): Promise<FilesPlan[]> {
  const { snapshotId } = archive;
  const objects = chooseTars(archive, settings, check.host);
  const plans: FilesPlan[] = [];
  for (const object of objects) {
    const path = objects.length === 1 ? order.path : join(order.path, String(object.partition));
    const directory = lookAtDirectory(path, snapshotId, object, settings.overwrite);
    if (order.paths === null) {
      const neededBytes = directory.isContinued ? null : (object.facts?.plainBytes ?? null);
      plans.push({ object, directory, chosen: null, wanted: null, neededBytes });
    } else {
      const notes = join(scratch, String(object.partition));
      mkdirSync(notes);
      const { isContinued } = directory;
      const chosen = await chooseFrom(
        { snapshotId, object },
        { ...order, path },
        { isContinued, notes, useIndex: settings.useIndex },
        check,
      );
      const wanted = chosen.choice?.wanted ?? null;
      plans.push({ object, directory, chosen, wanted, neededBytes: wanted?.bytes ?? null });
    }
  }
  assertSomethingFound(snapshotId, order.paths, plans);
  const needed = await neededObjects(snapshotId, plans, order.paths, check);
  assertRoom(order.path, needed);
  return needed;
}

/** @throws SnapError `NOT_FOUND` */
function chooseTars({ objects, snapshotId }: Archive, { partition }: RestoreSettings, host: Host): ArchivedObject[] {
  const wanted = objects.filter((object) => partition === null || object.partition === partition);
  const tars = wanted.filter(({ layout }) => layout === 'tar');
  if (tars.length === 0) {
    throw new SnapError(
      'NOT_FOUND',
      `the archive of ${snapshotId} has no files${partition === null ? '' : ` of partition ${partition}`}`,
      { hint: 'it holds images: restore them with --to-file or --to-device' },
    );
  }
  for (const object of wanted.filter(({ layout }) => layout === 'image')) {
    const reason = 'it is an image: --to-file or --to-device';
    host.notify({ code: 'partition.not-restored', snapshot: snapshotId, partition: object.partition, reason });
  }
  return tars;
}

/** A tar of an archive. */
export interface ArchivedTar {
  snapshotId: string;
  object: ArchivedObject;
}

interface Choosing {
  /** Whether files of an earlier restore are there. */
  isContinued: boolean;
  /** A directory for the records of the members. */
  notes: string;
  /** Whether the index says where files are. */
  useIndex: boolean;
}

/** @throws SnapError as `planFiles` does. */
export async function chooseFrom(
  { snapshotId, object }: ArchivedTar,
  { path, paths, isPrivileged }: FilesOrder,
  { isContinued, notes, useIndex }: Choosing,
  check: ReadContext,
): Promise<ChosenMembers> {
  const before = isContinued ? new RestoredBefore(path, isPrivileged, check.signal) : null;
  const order = { paths, directory: notes, before };
  return { choice: useIndex ? await chooseMembers(object, snapshotId, order, check) : null, before };
}

/** @throws SnapError `NOT_FOUND` where all indexes are known, and none has anything that was asked for. */
function assertSomethingFound(snapshotId: string, paths: readonly string[] | null, plans: readonly FilesPlan[]): void {
  if (paths === null) return;
  const missing = plans.map(({ wanted }) => wanted?.missing ?? []);
  if (missing.every((names) => names.length === paths.length))
    assertAllFound(snapshotId, paths, missing, 'nothing was restored');
}

/** @throws SnapError `NOT_FOUND` for paths that none of the objects has. */
export function assertAllFound(
  snapshotId: string,
  paths: readonly string[] | null,
  missing: readonly string[][],
  rest: string,
): void {
  const nowhere = (paths ?? []).filter((path) => missing.every((names) => names.includes(path)));
  if (nowhere.length === 0) return;
  const names = nowhere.map((path) => Buffer.from(path, 'latin1').toString()).join(', ');
  throw new SnapError('NOT_FOUND', `the archive of ${snapshotId} has no ${names}`, {
    hint: `paths begin at the root of the filesystem that was archived; ${rest}`,
  });
}

/** @throws SnapError `TARGET` for a filesystem that has too little room for all that comes to it. */
function assertRoom(path: string, plans: readonly FilesPlan[]): void {
  for (const shared of Map.groupBy(plans, ({ directory }) => directory.filesystem).values()) {
    const needed = shared.reduce((sum, { neededBytes }) => sum + (neededBytes ?? 0), 0);
    const [first, ...others] = shared;
    const free = first?.directory.freeBytes ?? 0;
    if (needed <= free) continue;
    const where = others.length === 0 ? first?.directory.path : path;
    throw new SnapError('TARGET', `${where} needs ${formatBytes(needed)}, there are ${formatBytes(free)}`, {
      hint: 'make room, or restore to another filesystem',
    });
  }
}
