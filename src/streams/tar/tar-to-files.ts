/** Rewrites a tar stream with only the members that may be restored, for the tar that extracts it. */
import type { ByteStream } from '../../archive/byte-stream.ts';
import { dataLength, hashData, takeData } from '../../archive/tar/member-data.ts';
import { TarError, type TarMember } from '../../archive/tar/tar-member.ts';
import { readMembers } from '../../archive/tar/tar-reader.ts';
import { encodeMember, type NewMember, paddingAfter, TAR_END } from '../../archive/tar/tar-writer.ts';
import { type DifferenceKind, DifferenceList } from '../difference.ts';
import { pathOfMember } from '../disk-tree.ts';
import type { Cut } from './cut-stream.ts';
import { isKept, type KeptTimes } from './kept-times.ts';
import { MemberRecordsReader } from './member-records.ts';
import { type ExtractionDecision, type ExtractionRules, MemberRules } from './member-rules.ts';
import { PipeOutput } from './pipe-output.ts';
import { Shortcuts } from './shortcuts.ts';

export interface FilesTarget {
  /** The write end of a pipe to tar. The caller closes it. */
  descriptor: number;
  rules: ExtractionRules;
  /** Maximum bytes of file data. A small archive can contain enough to fill any disk. */
  maxBytes: number;
  /** The parts of the stream to take if only some members are fetched; `null` takes everything. */
  cuts: readonly Cut[] | null;
  /** A file with the records of the index for the members in the stream; `null` if there is no index. */
  records: string | null;
  /** The start of the names of links that replace long paths. The caller removes the links. */
  shortcutPrefix: string;
  /** The times that the target can store; `null` if unknown. */
  times: KeptTimes | null;
}

/** What was not restored as archived, because it was not requested or the target cannot store it. */
export interface LeftOut {
  devices: number;
  /** Files that lost their set-user-ID and set-group-ID bits or capabilities. */
  privileges: number;
  /** Files, directories and links whose times the target cannot store. */
  times: number;
}

export interface FilesFound {
  differences: DifferenceList;
  members: number;
  files: number;
  contentBytes: number;
  leftOut: LeftOut;
  /** Selected paths for which nothing was found. */
  missing: string[];
}

export function writeFiles(stream: ByteStream, target: FilesTarget): FilesFound {
  using records = target.records === null ? null : new MemberRecordsReader(target.records);
  return new FileWriter(stream, target, records).run();
}

class FileWriter {
  readonly #stream: ByteStream;
  readonly #target: FilesTarget;
  readonly #rules: MemberRules;
  readonly #records: MemberRecordsReader | null;
  readonly #found: FilesFound = {
    differences: new DifferenceList(),
    members: 0,
    files: 0,
    contentBytes: 0,
    leftOut: { devices: 0, privileges: 0, times: 0 },
    missing: [],
  };
  readonly #output: PipeOutput;
  readonly #shortcuts: Shortcuts;

  constructor(stream: ByteStream, target: FilesTarget, records: MemberRecordsReader | null) {
    this.#stream = stream;
    this.#records = records;
    this.#target = target;
    this.#output = new PipeOutput(target.descriptor);
    this.#rules = new MemberRules(target.rules);
    this.#shortcuts = new Shortcuts(target.shortcutPrefix);
  }

  run(): FilesFound {
    const { differences } = this.#found;
    try {
      for (const member of readMembers(this.#stream)) this.#take(member);
      if (this.#records?.next()) throw new TarError('it is in the index but not in the archive');
      this.#output.write(TAR_END);
    } catch (error) {
      if (!(error instanceof TarError)) throw error;
      const path = this.#records?.pathInTurn ?? null;
      differences.add('damaged', path === null ? '' : shownName(path), error.message);
    }
    this.#output.flush();
    this.#found.missing = this.#rules.wanted.missing;
    return this.#found;
  }

  /** The headers of a file are compared before it is created, its data when they have been read. */
  #take(member: TarMember): void {
    const record = this.#records?.next() ?? null;
    if (this.#records && !record?.hasHeadersOf(member)) {
      this.#skip(member);
      this.#differs('damaged', record ?? member, 'not restored: its headers do not match the index of the archive');
    } else {
      const decision = this.#rules.decide(member, record?.alias ?? null);
      if (decision.what === 'take' && decision.isReduced) this.#found.leftOut.privileges++;
      const sha256 = decision.what === 'take' ? this.#pass(decision.member) : this.#leaveOut(member, decision);
      if (record && !record.hasData(sha256))
        this.#differs('content', member, 'it does not match the index of the archive');
    }
    this.#records?.finishMember();
  }

  #skip(member: TarMember): void {
    if (member.type === 'file') this.#data(member, () => {});
  }

  /** @returns the hash of the data of a file; `null` if the member is not a file or there is no index. */
  #leaveOut(member: TarMember, decision: Exclude<ExtractionDecision, { what: 'take' }>): string | null {
    if (decision.what === 'device') this.#found.leftOut.devices++;
    if (decision.what === 'refuse') this.#differs('outside', member, `not restored: ${decision.why}`);
    return member.type === 'file' ? this.#data(member, () => {}) : null;
  }

  #differs(kind: DifferenceKind, { path }: { path: Buffer }, detail: string): void {
    this.#found.differences.add(kind, shownName(path), detail);
  }

  #pass(member: NewMember): string | null {
    this.#found.members++;
    const { times } = this.#target;
    if (times && member.type !== 'hardlink' && !isKept(member.mtime, times)) this.#found.leftOut.times++;
    const shortened = this.#shortcuts.shorten(member);
    for (const made of [...shortened.links, shortened.member]) this.#output.write(encodeMember(made));
    if (member.type !== 'file') return null;
    this.#found.files++;
    this.#found.contentBytes += dataLength(member);
    if (this.#found.contentBytes > this.#target.maxBytes)
      throw new TarError('its data exceed the free space of the target');
    const sha256 = this.#data(member, (bytes) => this.#output.write(bytes));
    this.#output.write(paddingAfter(member));
    return sha256;
  }

  /** Truncated data are not padded. Nothing more is written after them. */
  #data(member: NewMember, onBytes: (bytes: Buffer) => void): string | null {
    const length = dataLength(member);
    const end = this.#stream.position + length;
    const sha256 = this.#records ? hashData(length, this.#stream, onBytes) : null;
    if (!this.#records) takeData(length, this.#stream, onBytes);
    if (this.#stream.position !== end) throw new TarError('the tar ends within a file');
    return sha256;
  }
}

const shownName = (path: Buffer): Buffer => pathOfMember(path) ?? path;
