/** Lists the files of archives from their indexes. Nothing is thawed, and the memory does not grow with the number of files. */
import picomatch from 'picomatch';
import type { IndexedMember } from '../../archive/file-index.ts';
import { EXIT, type ExitCode, SnapError } from '../../errors.ts';
import type { ListedFile } from '../../events.ts';
import { printable } from '../../lib/printable.ts';
import { pathOfMember } from '../../streams/disk-tree.ts';
import type { Archive, ArchivedObject } from '../reading/find-archive.ts';
import { readFileIndex } from '../reading/index/read-index.ts';
import type { ReadContext } from '../reading/read-context.ts';
import type { FilesQuery } from '../shared/settings/list.ts';

export interface FileSearch {
  /** Number of files that were found. */
  files: number;
  /** Number of objects whose index could not be read. */
  unreadable: number;
  /** The number of those that are damaged or missing. */
  damaged: number;
}

/** The exit code of a search: a damaged archive matters more than an index that cannot be read here. */
export function exitCodeOf({ files, unreadable, damaged }: FileSearch): ExitCode {
  if (damaged > 0) return EXIT.differs;
  if (unreadable > 0) return EXIT.someFailed;
  return files === 0 ? EXIT.nothingToDo : EXIT.ok;
}

/** Receives each file that matches. */
export type FileListener = (file: ListedFile) => void;

/**
 * Finds the files of an archive that match. Objects without files or without a readable index are reported and skipped.
 * @throws SnapError errors that do not concern a single archive, such as `ACCESS_DENIED` and `INTERRUPTED`.
 */
export async function listFiles(
  archive: Archive,
  query: FilesQuery,
  services: ReadContext,
  onFile: FileListener,
): Promise<FileSearch> {
  const found: FileSearch = { files: 0, unreadable: 0, damaged: 0 };
  const matches = matcherOf(query);
  if (archive.point) {
    const { key } = archive.point;
    const reason = 'it is an incremental archive, which holds the image of a disk, and no list of files';
    services.host.notify({ code: 'files.not-listed', snapshot: archive.snapshotId, key, partition: null, reason });
  }
  for (const object of archive.objects) {
    if (query.partition !== null && object.partition !== query.partition) continue;
    const obstacle = obstacleOf(object);
    if (obstacle !== null) skip(archive.snapshotId, object, obstacle, null, services);
    else await listObject(archive.snapshotId, object, { matches, onFile, found }, services);
  }
  return found;
}

/** @returns why the files of an object cannot be listed; `null` if they can be. */
function obstacleOf({ layout, facts }: ArchivedObject): string | null {
  if (layout === 'image') return 'it is an image, and the index of an image does not list files';
  if (facts?.index) return null;
  return facts ? 'it was stored without an index' : 'it has no index, because the archive has no manifest (version 0)';
}

function skip(
  snapshot: string,
  { key, partition }: ArchivedObject,
  reason: string,
  error: SnapError | null,
  { host }: ReadContext,
): void {
  host.notify({ code: 'files.not-listed', snapshot, key, partition, reason, ...(error ? { error } : {}) });
}

/** Errors that concern only one index or its key, so that the search continues with the next one. */
const SINGLE_INDEX_ERRORS = [
  'DIFFERS',
  'GPG_KEY',
  'ARCHIVE_EXISTS',
  'TOOL_MISSING',
  'OBJECT_ARCHIVED',
  'DOWNLOAD_FAILED',
  'CLOUD_CALL',
];

/** The state of a search. */
interface RunningSearch {
  matches: Matcher;
  onFile: FileListener;
  found: FileSearch;
}

async function listObject(
  snapshotId: string,
  object: ArchivedObject,
  { matches, onFile, found }: RunningSearch,
  services: ReadContext,
): Promise<void> {
  try {
    for await (const line of readFileIndex(object, snapshotId, services)) {
      if (line.is !== 'member' || !matches(line.member)) continue;
      found.files++;
      onFile(listedFile(snapshotId, object, line.member));
    }
  } catch (error) {
    if (!(error instanceof SnapError) || !SINGLE_INDEX_ERRORS.includes(error.code)) throw error;
    const isDamaged = error.code === 'DIFFERS';
    found.unreadable++;
    if (isDamaged) found.damaged++;
    skip(snapshotId, object, isDamaged ? 'its index is damaged' : 'its index cannot be read', error, services);
  }
}

type Matcher = (member: IndexedMember) => boolean;

/** A glob without a slash is compared with the last part of the path, like `find -name`; one with a slash, with all of it. */
function matcherOf({ how, paths, globs }: FilesQuery): Matcher {
  const places = paths.length === 0 ? [''] : paths;
  const isInPlace = how === 'below' ? isBelow : isWithin;
  const tests = globs.map((glob) => {
    const matches = picomatch(glob.replace(/^\/+/, ''), { dot: true, nonegate: true, windows: false });
    return (path: string) => matches(glob.includes('/') ? path : path.slice(path.lastIndexOf('/') + 1));
  });
  return ({ path, type }) => {
    // A member name that is not a valid path is used unchanged.
    const bytes = pathOfMember(path) ?? path;
    const name = bytes.toString('latin1');
    if (!places.some((place) => isInPlace(name, place, type === 'directory'))) return false;
    return tests.length === 0 || tests.some((matches) => matches(bytes.toString('utf8')));
  };
}

const isBelow = (name: string, place: string): boolean =>
  place === '' || name === place || name.startsWith(`${place}/`);

/** Selects the entries of a directory, or a file itself, like `ls`. */
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
