/** What has to be fetched of an object for some of its files, by its index alone. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type IndexedMember, isMapKnown } from '../../../archive/file-index.ts';
import { FRAME_END, FRAME_HEADER } from '../../../archive/lz4-frame.ts';
import { pathOfMember } from '../../../streams/disk-tree.ts';
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
  /** What to fetch; `null`: the whole object. */
  part: { extents: Extent[]; cuts: Cut[] } | null;
  /** A file with what the index says of each member that comes. */
  records: string;
  /** Files that come under the name of a wanted hard link to them. */
  aliases: [file: string, link: string][];
  /** Of the index. */
  fetchedBytes: number;
  /** `null` where everything comes, and where the index does not tell. */
  wanted: WantedMembers | null;
}

/** Of the members that were asked for. */
export interface WantedMembers {
  /** Of data that is not there yet. */
  bytes: number;
  /** Paths that the archive has not. */
  missing: string[];
}

export interface ChoiceOrder {
  /** As `WantedPaths` takes them. */
  paths: readonly string[] | null;
  /** Where the records can be kept. */
  directory: string;
  /** Files that need not come again; `null` where nothing was restored before. */
  before: RestoredBefore | null;
}

/**
 * Of an index that is not the one that the manifest names, places are not used.
 * @returns `null` where there is no index that can be used.
 * @throws SnapError `MANIFEST` for an index that is damaged.
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
  const aliases = order.paths === null ? [] : await findAliases(index, order.paths);
  const isPart = index.isOfManifest && (order.paths !== null || order.before !== null);
  const chosen = isPart ? await choosePart(object, index, order, aliases) : null;
  const choice = chosen?.part
    ? chosen
    : { ...(await chooseAll(index, order, aliases)), wanted: chosen?.wanted ?? null };
  await rm(file);
  return choice;
}

/** Fetches everything and compares it with the index. */
async function chooseAll(
  { read, bytes: fetchedBytes }: FetchedIndex,
  { directory }: ChoiceOrder,
  aliases: MemberChoice['aliases'],
): Promise<MemberChoice> {
  const records = join(directory, 'records');
  using writer = new MemberRecordsWriter(records);
  for await (const line of read()) if (line.is === 'member') writer.add(line.member);
  writer.finish();
  return { part: null, records, aliases, fetchedBytes, wanted: null };
}

/** No part where pieces are not known, or too many, and where the index does not tell all that is in them. */
async function choosePart(
  object: ArchivedObject,
  { read, bytes: fetchedBytes }: FetchedIndex,
  { paths, directory, before }: ChoiceOrder,
  aliases: MemberChoice['aliases'],
): Promise<MemberChoice> {
  const records = join(directory, 'records');
  using writer = new MemberRecordsWriter(records);
  let bytes = 0;
  let isAllTold = true;
  const wanted = new WantedPaths(paths);
  const sources = new Set(aliases.map(([file]) => file));
  const cutter = new PieceCutter();
  for await (const line of read()) {
    if (line.is === 'piece') cutter.piece(line.place);
    else if (isWanted(line.member, wanted, sources) && !(await isThere(line.member, sources, before))) {
      isAllTold &&= isMapKnown(line.member);
      writer.add(line.member);
      cutter.range(line.member.span);
      bytes += line.member.data?.bytes ?? 0;
    }
  }
  writer.finish();
  const found = isAllTold ? cutter.finish() : null;
  const part = found && { extents: asStream(object, found.extents), cuts: found.cuts };
  return { part, records, aliases, fetchedBytes, wanted: { bytes, missing: wanted.missing } };
}

async function isThere(member: IndexedMember, sources: ReadonlySet<string>, before: RestoredBefore | null) {
  const path = pathOfMember(member.path);
  if (!before || path === null || sources.has(path.toString('latin1'))) return false;
  return before.has(path, member);
}

function isWanted(member: IndexedMember, wanted: WantedPaths, sources: ReadonlySet<string>): boolean {
  const path = pathOfMember(member.path)?.toString('latin1');
  // If all files are wanted, the code that creates them refuses names that cannot exist.
  if (path === undefined) return wanted.has('', false);
  return wanted.has(path, member.type === 'directory') || sources.has(path);
}

/** Wanted hard links to files that are not wanted: the data of a file stands only under its first name. */
async function findAliases({ read }: FetchedIndex, paths: readonly string[]): Promise<[file: string, link: string][]> {
  const wanted = new WantedPaths(paths);
  const found = new Map<string, string>();
  for await (const line of read()) {
    // All members come before the pieces.
    if (line.is === 'piece') break;
    const { type, path, target } = line.member;
    if (type !== 'hardlink') continue;
    const [name, first] = [path, target].map((bytes) => pathOfMember(bytes)?.toString('latin1'));
    if (name === undefined || first === undefined || !wanted.has(name, false) || wanted.has(first, false)) continue;
    if (!found.has(first)) found.set(first, name);
  }
  return [...found];
}

/** Blocks of lz4 are no stream without a header and an end; frames of zstd are one as they are. Nothing remains nothing. */
const asStream = ({ codec }: ArchivedObject, extents: Extent[]): Extent[] =>
  codec === 'lz4' && extents.length > 0 ? [FRAME_HEADER, ...extents, FRAME_END] : extents;
