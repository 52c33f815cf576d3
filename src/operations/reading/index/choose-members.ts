/** Determines from the index which ranges of an object must be fetched to get some of its files. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type IndexedMember, isMapKnown } from '../../../archive/file-index.ts';
import { FRAME_END, FRAME_HEADER } from '../../../archive/lz4-frame.ts';
import { pathOfMember } from '../../../streams/disk-tree.ts';
import { AliasFile } from '../../../streams/tar/alias-file.ts';
import type { Cut } from '../../../streams/tar/cut-stream.ts';
import { MemberRecordsWriter } from '../../../streams/tar/member-records.ts';
import { WantedPaths } from '../../../streams/tar/wanted-paths.ts';
import type { Extent } from '../../../transfer/download.ts';
import type { ArchivedObject } from '../find-archive.ts';
import type { ReadContext } from '../read-context.ts';
import { canOpenIndex } from './image-index.ts';
import { PieceCutter } from './piece-cutter.ts';
import { type FetchedIndex, fetchFileIndex } from './read-index.ts';
import type { RestoredBefore } from './restored-before.ts';

export interface MemberChoice {
  /** The ranges to fetch; `null` for the whole object. */
  part: { extents: Extent[]; cuts: Cut[] } | null;
  /** A file with the index entries of all members in the fetched stream. */
  records: string;
  /** Bytes of the index that were fetched. */
  fetchedBytes: number;
  /** `null` if no members were selected, or if the index is not the one in the manifest. */
  wanted: WantedMembers | null;
}

/** Totals of the requested members. */
export interface WantedMembers {
  /** Bytes of data that must be fetched. */
  bytes: number;
  /** Requested paths that the archive does not contain. */
  missing: string[];
}

export interface ChoiceOrder {
  /** The requested paths, in the form of `WantedPaths`. */
  paths: readonly string[] | null;
  /** A directory for the records. */
  directory: string;
  /** Files that need not be fetched again; `null` if there is no earlier restore. */
  before: RestoredBefore | null;
}

/**
 * Does not use the positions in an index that is not the one in the manifest.
 * @returns `null` if there is no usable index.
 * @throws SnapError `DIFFERS` if the index is damaged or missing.
 */
export async function chooseMembers(
  object: ArchivedObject,
  snapshotId: string,
  order: ChoiceOrder,
  services: ReadContext,
): Promise<MemberChoice | null> {
  if (!object.facts?.index || !canOpenIndex(object, services.sessionKey)) return null;
  const file = join(order.directory, 'index');
  const index = await fetchFileIndex(object, snapshotId, file, services);
  using aliases = new AliasFile(join(order.directory, 'aliases'));
  if (order.paths !== null) await findAliases(index, order.paths, aliases);
  const isPart = index.isOfManifest && (order.paths !== null || order.before !== null);
  const chosen = isPart ? await choosePart(object, index, order, aliases) : null;
  const choice = chosen?.part
    ? chosen
    : { ...(await chooseAll(index, order, aliases)), wanted: chosen?.wanted ?? null };
  await rm(file);
  return choice;
}

/** Selects the whole object, which is then compared with the index. */
async function chooseAll(
  { read, bytes: fetchedBytes }: FetchedIndex,
  { directory }: ChoiceOrder,
  aliases: AliasFile,
): Promise<MemberChoice> {
  const records = join(directory, 'records');
  using writer = new MemberRecordsWriter(records);
  for await (const line of read()) if (line.is === 'member') writer.add(line.member, aliasOf(line.member, aliases));
  writer.finish();
  return { part: null, records, fetchedBytes, wanted: null };
}

/** `part` is `null` if the pieces are unknown or too many, or if the index does not describe everything in them. */
async function choosePart(
  object: ArchivedObject,
  { read, bytes: fetchedBytes }: FetchedIndex,
  { paths, directory, before }: ChoiceOrder,
  aliases: AliasFile,
): Promise<MemberChoice> {
  const records = join(directory, 'records');
  using writer = new MemberRecordsWriter(records);
  let bytes = 0;
  let areMapsKnown = true;
  const wanted = new WantedPaths(paths);
  const cutter = new PieceCutter();
  for await (const line of read()) {
    if (line.is === 'piece') cutter.piece(line.place);
    else if (isWanted(line.member, wanted, aliases) && !(await isThere(line.member, aliases, before))) {
      areMapsKnown &&= isMapKnown(line.member);
      writer.add(line.member, aliasOf(line.member, aliases));
      cutter.range(line.member.span);
      bytes += line.member.data?.bytes ?? 0;
    }
  }
  writer.finish();
  const found = areMapsKnown ? cutter.finish() : null;
  const part = found && { extents: asStream(object, found.extents), cuts: found.cuts };
  return { part, records, fetchedBytes, wanted: { bytes, missing: wanted.missing } };
}

async function isThere(member: IndexedMember, aliases: AliasFile, before: RestoredBefore | null) {
  const path = pathOfMember(member.path);
  if (!before || path === null || aliases.has(path.toString('latin1'))) return false;
  return before.has(path, member);
}

function isWanted(member: IndexedMember, wanted: WantedPaths, aliases: AliasFile): boolean {
  const path = pathOfMember(member.path)?.toString('latin1');
  // If all files are wanted, the code that creates them refuses names that cannot exist.
  if (path === undefined) return wanted.has('', false);
  return wanted.has(path, member.type === 'directory') || aliases.has(path);
}

/** Finds requested hard links to files that are not requested: a tar has the data of a file only under its first name. */
async function findAliases({ read }: FetchedIndex, paths: readonly string[], aliases: AliasFile): Promise<void> {
  const wanted = new WantedPaths(paths);
  for await (const line of read()) {
    // All members come before the pieces.
    if (line.is === 'piece') break;
    const { type, path, target } = line.member;
    if (type !== 'hardlink') continue;
    const [name, first] = [path, target].map((bytes) => pathOfMember(bytes)?.toString('latin1'));
    if (name === undefined || first === undefined || !wanted.has(name, false) || wanted.has(first, false)) continue;
    aliases.add(first, name);
  }
}

/** The name under which a file is restored, or the file that a hard link refers to; `null` if it is its own name. */
function aliasOf({ type, path, target }: IndexedMember, aliases: AliasFile): string | null {
  if (type !== 'file' && type !== 'hardlink') return null;
  const file = pathOfMember(type === 'file' ? path : target)?.toString('latin1');
  return file === undefined ? null : aliases.of(file);
}

/** Blocks of lz4 need a header and an end mark to become a stream, unless there are none. Frames of zstd are a stream already. */
const asStream = ({ codec }: ArchivedObject, extents: Extent[]): Extent[] =>
  codec === 'lz4' && extents.length > 0 ? [FRAME_HEADER, ...extents, FRAME_END] : extents;
