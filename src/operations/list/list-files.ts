/** The files of archives, told by their indexes alone: nothing is thawed, and memory does not grow with them. */
import picomatch from 'picomatch';
import type { IndexedMember } from '../../archive/file-index.ts';
import { SnapError } from '../../errors.ts';
import type { ListedFile } from '../../events.ts';
import { printable } from '../../lib/printable.ts';
import { pathOfMember } from '../../streams/disk-tree.ts';
import type { Archive, ArchivedObject } from '../reading/find-archive.ts';
import type { ReadContext } from '../reading/read-context.ts';
import { readFileIndex } from '../reading/read-index.ts';
import type { FilesQuery } from '../shared/settings/list.ts';

export interface FileSearch {
  /** Files that were told. */
  files: number;
  /** Objects whose files could not be told, though there is an index. */
  unreadable: number;
}

/** A file that fits, and the end of a search. */
export type FileListener = (file: ListedFile) => void;

/**
 * What holds no files, or has no index, is told and passed over; so is an index that cannot be read.
 * @throws SnapError what says nothing of an archive, e.g. `ACCESS_DENIED`, `INTERRUPTED`.
 */
export async function listFiles(
  archive: Archive,
  query: FilesQuery,
  services: ReadContext,
  tell: FileListener,
): Promise<FileSearch> {
  const found: FileSearch = { files: 0, unreadable: 0 };
  const matches = matcherOf(query);
  for (const object of archive.objects) {
    if (query.partition !== null && object.partition !== query.partition) continue;
    const obstacle = obstacleOf(object);
    if (obstacle !== null) passOver(archive.snapshotId, object, obstacle, null, services);
    else await listObject(archive.snapshotId, object, { matches, tell, found }, services);
  }
  return found;
}

/** Why an object cannot be searched. */
function obstacleOf({ layout, facts }: ArchivedObject): string | null {
  if (layout === 'image') return 'it is an image, which holds no files that an index could tell';
  if (facts?.index) return null;
  return facts
    ? 'it was stored without an index'
    : 'it has no manifest, as archives of version 0 have none, and so no index';
}

function passOver(
  snapshot: string,
  { key, partition }: ArchivedObject,
  reason: string,
  error: SnapError | null,
  { host }: ReadContext,
): void {
  host.notify({ code: 'files.not-listed', snapshot, key, partition, reason, ...(error ? { error } : {}) });
}

/** What is said of an index, or of the key to it, says nothing of others. */
const OF_THIS_ONE = ['MANIFEST', 'NOT_FOUND', 'GPG_KEY', 'ARCHIVE_EXISTS', 'TOOL_MISSING'];

/** What is searched for, who is told of it, and what was found so far. */
interface RunningSearch {
  matches: Matcher;
  tell: FileListener;
  found: FileSearch;
}

async function listObject(
  snapshotId: string,
  object: ArchivedObject,
  { matches, tell, found }: RunningSearch,
  services: ReadContext,
): Promise<void> {
  try {
    for await (const line of readFileIndex(object, snapshotId, services)) {
      if (line.is !== 'member' || !matches(line.member)) continue;
      found.files++;
      tell(listedFile(snapshotId, object, line.member));
    }
  } catch (error) {
    if (!(error instanceof SnapError) || !OF_THIS_ONE.includes(error.code)) throw error;
    found.unreadable++;
    passOver(snapshotId, object, 'its index cannot be read', error, services);
  }
}

type Matcher = (member: IndexedMember) => boolean;

/** Without a slash, a glob is held against the last part of a name, as `find -name` does; with one, against all. */
function matcherOf({ how, paths, globs }: FilesQuery): Matcher {
  const places = paths.length === 0 ? [''] : paths;
  const isThere = how === 'below' ? isBelow : isWithin;
  const tests = globs.map((glob) => {
    const isFit = picomatch(glob.replace(/^\/+/, ''), { dot: true, nonegate: true, windows: false });
    return (path: string) => isFit(glob.includes('/') ? path : path.slice(path.lastIndexOf('/') + 1));
  });
  return ({ path, type }) => {
    // What cannot be named on a disk is shown as it is.
    const bytes = pathOfMember(path) ?? path;
    const name = bytes.toString('latin1');
    if (!places.some((place) => isThere(name, place, type === 'directory'))) return false;
    return tests.length === 0 || tests.some((fits) => fits(bytes.toString('utf8')));
  };
}

const isBelow = (name: string, place: string): boolean =>
  place === '' || name === place || name.startsWith(`${place}/`);

/** As `ls` does: what a directory holds, or a file itself. */
function isWithin(name: string, place: string, isDirectory: boolean): boolean {
  if (name === place) return !isDirectory;
  const parent = name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '';
  return parent === place && name !== '';
}

function listedFile(snapshot: string, { key, partition }: ArchivedObject, member: IndexedMember): ListedFile {
  const { type, size, mode, uid, gid, mtime, target, device, data } = member;
  const path = pathOfMember(member.path) ?? member.path;
  const isText = Buffer.from(path.toString('utf8')).equals(path);
  return {
    snapshot,
    key,
    partition,
    path: printable(path),
    pathBase64: isText && printable(path) === path.toString('utf8') ? null : path.toString('base64'),
    type,
    mode,
    uid,
    gid,
    size: size > Number.MAX_SAFE_INTEGER ? size : Number(size),
    mtime: Number(mtime / 1_000_000n) / 1000,
    target: target.length === 0 ? null : printable(type === 'hardlink' ? (pathOfMember(target) ?? target) : target),
    device: type === 'character' || type === 'block' ? device : null,
    sha256: data?.sha256 ?? null,
  };
}
