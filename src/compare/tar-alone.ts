/** A tar stream by itself: is it one, and do its members hold what the index says? */
import { createHash } from 'node:crypto';
import type { ByteStream } from '../archive/byte-stream.ts';
import { readMembers, TarError, type TarMember } from '../archive/tar-reader.ts';
import { DifferenceList } from './difference.ts';
import { pathOfMember } from './disk-tree.ts';
import { MemberRecordsReader } from './member-records.ts';

export interface TarAlone {
  /** A file with what the index says of each member; `null` without one. */
  records: string | null;
}

export interface AloneFindings {
  differences: DifferenceList;
  members: number;
  files: number;
  contentBytes: number;
}

const AT_ONCE = 1024 * 1024;

export function readTarAlone(stream: ByteStream, { records }: TarAlone): AloneFindings {
  using index = records === null ? null : new MemberRecordsReader(records);
  const found: AloneFindings = { differences: new DifferenceList(), members: 0, files: 0, contentBytes: 0 };
  try {
    for (const member of readMembers(stream)) take(member, stream, index, found);
    if (index?.isAtEnd === false) throw new TarError('members that the index has are missing');
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    found.differences.add('damaged', '', error.message);
  }
  return found;
}

function take(member: TarMember, stream: ByteStream, index: MemberRecordsReader | null, found: AloneFindings): void {
  const { type, size, path } = member;
  found.members++;
  if (type === 'file') {
    found.files++;
    found.contentBytes += size;
  }
  const sha256 = type === 'file' ? readData(member, stream, index !== null) : null;
  if (index && !index.matchesNext(path, sha256))
    found.differences.add('content', pathOfMember(path) ?? path, 'it is not what the index of the archive says');
}

/** @returns the hash of the data, where it is wanted. */
function readData({ segments }: TarMember, stream: ByteStream, isHashed: boolean): string | null {
  const hash = isHashed ? createHash('sha256') : null;
  for (let rest = segments.reduce((sum, { length }) => sum + length, 0); rest > 0; ) {
    const bytes = stream.some(Math.min(rest, AT_ONCE));
    // The end within a file is noticed by whoever reads the members.
    if (bytes.length === 0) break;
    hash?.update(bytes);
    rest -= bytes.length;
  }
  return hash?.digest('hex') ?? null;
}
