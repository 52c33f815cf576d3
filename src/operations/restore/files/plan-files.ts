/** Plans a restore of files: which members of which objects go where, before anything is fetched or written. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { nameOfPart } from '../../../archive/partition-facts.ts';
import { SnapError } from '../../../errors.ts';
import type { Host } from '../../../events.ts';
import { formatBytes } from '../../../lib/units.ts';
import type { Archive, ArchivedObject } from '../../reading/find-archive.ts';
import { chooseMembers, type MemberChoice, type WantedMembers } from '../../reading/index/choose-members.ts';
import { RestoredBefore } from '../../reading/index/restored-before.ts';
import type { ReadContext } from '../../reading/read-context.ts';
import type { FilesOrder, RestoreSettings } from '../../shared/settings/restore.ts';
import { neededObjects } from './needed-objects.ts';
import { examineDirectory, type FoundDirectory } from './restore-directory.ts';

/** The plan for the files of one object. */
export interface FilesPlan {
  object: ArchivedObject;
  directory: FoundDirectory;
  /** `null` if everything is requested. */
  chosen: ChosenMembers | null;
  /** `null` if everything is requested, or there is no index. */
  wanted: WantedMembers | null;
  /** Bytes that the files need in the directory; `null` if not known. */
  neededBytes: number | null;
}

export interface ChosenMembers {
  /** The members to fetch; `null` without an index. */
  choice: MemberChoice | null;
  /** The files of an interrupted restore; `null` if there is none. */
  before: RestoredBefore | null;
}

/**
 * Writes nothing to the target directory. Excludes objects that would have to be thawed although they contain none of the
 * requested paths.
 * @param scratch a directory for records of the selected members.
 * @throws SnapError `NOT_FOUND`, `TARGET`; `DIFFERS` if an index is damaged, `GPG_KEY` if it cannot be decrypted. All of
 *   them occur before a thaw is requested.
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
    const directory = examineDirectory(path, snapshotId, object, settings.overwrite);
    if (order.paths === null) {
      const neededBytes = directory.isResumed ? null : (object.facts?.plainBytes ?? null);
      plans.push({ object, directory, chosen: null, wanted: null, neededBytes });
    } else {
      const notes = join(scratch, String(object.partition));
      mkdirSync(notes);
      const { isResumed } = directory;
      const chosen = await chooseFrom(
        { snapshotId, object },
        { ...order, path },
        { isResumed, notes, useIndex: settings.useIndex },
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

/** @throws SnapError `NOT_FOUND` if the archive has no tar. */
function chooseTars({ objects, snapshotId }: Archive, { partition }: RestoreSettings, host: Host): ArchivedObject[] {
  const wanted = objects.filter((object) => partition === null || object.partition === partition);
  const tars = wanted.filter(({ layout }) => layout === 'tar');
  if (tars.length === 0) {
    throw new SnapError(
      'NOT_FOUND',
      `the archive of ${snapshotId} contains no files${partition === null ? '' : ` of partition ${partition}`}`,
      { hint: `it has ${describeContent(objects)}` },
    );
  }
  for (const object of wanted.filter(({ layout }) => layout === 'image')) {
    const reason = 'it is stored as an image; restore it with --to-file or --to-device';
    host.notify({ code: 'partition.not-restored', snapshot: snapshotId, partition: object.partition, reason });
  }
  return tars;
}

/** For example `files of partition 1; an image of partition 2`. */
const describeContent = (objects: readonly ArchivedObject[]): string =>
  objects
    .map(({ layout, partition }) => `${layout === 'tar' ? 'files' : 'an image'} of ${nameOfPart(partition)}`)
    .join('; ');

/** A tar of an archive. */
export interface ArchivedTar {
  snapshotId: string;
  object: ArchivedObject;
}

interface Choosing {
  /** Whether the directory contains files of an interrupted restore. */
  isResumed: boolean;
  /** A directory for records of the members. */
  notes: string;
  /** Whether to use the index to locate the files. */
  useIndex: boolean;
}

/** @throws SnapError as `planFiles` does. */
export async function chooseFrom(
  { snapshotId, object }: ArchivedTar,
  { path, paths, isPrivileged }: FilesOrder,
  { isResumed, notes, useIndex }: Choosing,
  check: ReadContext,
): Promise<ChosenMembers> {
  const before = isResumed ? new RestoredBefore(path, isPrivileged, check.signal) : null;
  const order = { paths, directory: notes, before };
  return { choice: useIndex ? await chooseMembers(object, snapshotId, order, check) : null, before };
}

/** @throws SnapError `NOT_FOUND` if all objects have an index, and none contains a requested path. */
function assertSomethingFound(snapshotId: string, paths: readonly string[] | null, plans: readonly FilesPlan[]): void {
  if (paths === null) return;
  const missing = plans.map(({ wanted }) => wanted?.missing ?? []);
  if (missing.every((names) => names.length === paths.length))
    assertAllFound(snapshotId, paths, missing, 'nothing was restored');
}

/**
 * @param rest what happened to the other paths, as a clause for the hint.
 * @throws SnapError `NOT_FOUND` if none of the objects contains a requested path.
 */
export function assertAllFound(
  snapshotId: string,
  paths: readonly string[] | null,
  missing: readonly string[][],
  rest: string,
): void {
  const notFound = (paths ?? []).filter((path) => missing.every((names) => names.includes(path)));
  if (notFound.length === 0) return;
  const names = notFound.map((path) => Buffer.from(path, 'latin1').toString()).join(', ');
  throw new SnapError('NOT_FOUND', `the archive of ${snapshotId} does not contain ${names}`, {
    hint: `specify paths relative to the root of the archived filesystem; ${rest}`,
  });
}

/** @throws SnapError `TARGET` if a filesystem has too little free space for everything that goes to it. */
function assertRoom(path: string, plans: readonly FilesPlan[]): void {
  for (const shared of Map.groupBy(plans, ({ directory }) => directory.filesystem).values()) {
    const needed = shared.reduce((sum, { neededBytes }) => sum + (neededBytes ?? 0), 0);
    const [first, ...others] = shared;
    const free = first?.directory.freeBytes ?? 0;
    if (needed <= free) continue;
    const where = others.length === 0 ? first?.directory.path : path;
    throw new SnapError('TARGET', `${where} needs ${formatBytes(needed)}; ${formatBytes(free)} is free`, {
      hint: 'free space, or restore to another filesystem',
    });
  }
}
