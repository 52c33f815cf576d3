/** Checks a tar stream without a disk: whether it is valid and its members match the index. */
import type { ByteStream } from '../../archive/byte-stream.ts';
import { dataLength, hashData } from '../../archive/tar/member-data.ts';
import { TarError, type TarMember } from '../../archive/tar/tar-member.ts';
import { readMembers } from '../../archive/tar/tar-reader.ts';
import { DifferenceList } from '../difference.ts';
import { pathOfMember } from '../disk-tree.ts';
import { MemberRecordsReader } from './member-records.ts';

export interface TarAlone {
  /** A file with the records of the index; `null` if there is no index. */
  records: string | null;
}

export interface AloneFindings {
  differences: DifferenceList;
  members: number;
  files: number;
  contentBytes: number;
}

export function readTarAlone(stream: ByteStream, { records }: TarAlone): AloneFindings {
  using index = records === null ? null : new MemberRecordsReader(records);
  const found: AloneFindings = { differences: new DifferenceList(), members: 0, files: 0, contentBytes: 0 };
  try {
    for (const member of readMembers(stream)) take(member, stream, index, found);
    if (index?.next()) throw new TarError('it is in the index but not in the archive');
  } catch (error) {
    if (!(error instanceof TarError)) throw error;
    const path = index?.pathInTurn ?? null;
    found.differences.add('damaged', path === null ? '' : (pathOfMember(path) ?? path), error.message);
  }
  return found;
}

function take(member: TarMember, stream: ByteStream, index: MemberRecordsReader | null, found: AloneFindings): void {
  const { type, path } = member;
  const record = index?.next() ?? null;
  found.members++;
  if (type === 'file') {
    found.files++;
    found.contentBytes += dataLength(member);
  }
  // Without an index, the hash is not needed and the data can be skipped.
  const sha256 = type === 'file' && index ? hashData(dataLength(member), stream) : null;
  if (type === 'file' && !index) stream.skip(dataLength(member));
  if (index && !(record?.hasHeadersOf(member) && record.hasData(sha256))) {
    const named = record?.path ?? path;
    found.differences.add('content', pathOfMember(named) ?? named, 'it does not match the index of the archive');
  }
  index?.finishMember();
}
