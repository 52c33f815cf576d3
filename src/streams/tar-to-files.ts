/** A tar stream, written anew with only what may become a file: for the tar that extracts it. */
import type { ByteStream } from '../archive/byte-stream.ts';
import { dataLength, hashData, takeData } from '../archive/member-data.ts';
import { readMembers, TarError, type TarMember } from '../archive/tar-reader.ts';
import { encodeMember, type NewMember, paddingAfter, TAR_END } from '../archive/tar-writer.ts';
import type { Cut } from './cut-stream.ts';
import { type DifferenceKind, DifferenceList } from './difference.ts';
import { pathOfMember } from './disk-tree.ts';
import { isKept, type KeptTimes } from './kept-times.ts';
import { MemberRecordsReader } from './member-records.ts';
import { type ExtractionRules, type Judgement, MemberRules } from './member-rules.ts';
import { PipeOutput } from './pipe-output.ts';
import { Shortcuts } from './shortcuts.ts';

export interface FilesTarget {
  /** The write end of a pipe that is read by tar; it stays the caller's. */
  descriptor: number;
  rules: ExtractionRules;
  /** Bytes of files at the most: a small archive can hold what fills any disk. */
  maxBytes: number;
  /** Where only some members are fetched: what to take of the stream. `null`: all of it. */
  cuts: readonly Cut[] | null;
  /** A file with what the index says of each member that comes; `null` without one. */
  records: string | null;
  /** How the names of links begin that are made for long paths; the caller removes them. */
  shortcutPrefix: string;
  /** Which times the target keeps; `null`: not known. */
  times: KeptTimes | null;
}

/** What was not restored as it was archived, since nobody asked for it, or the target cannot hold it. */
export interface LeftOut {
  devices: number;
  /** Files without their set-user-ID and set-group-ID bits and capabilities. */
  privileges: number;
  /** Files, directories and links whose times the target does not keep. */
  times: number;
}

export interface FilesFound {
  differences: DifferenceList;
  members: number;
  files: number;
  contentBytes: number;
  leftOut: LeftOut;
  /** Of the paths that were asked for, those that nothing was found for. */
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
      if (this.#records?.next()) throw new TarError('the index has it, the archive has not');
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

  /** What its headers make of a file is compared before there is one, its content when it has been read. */
  #take(member: TarMember): void {
    const record = this.#records?.next() ?? null;
    if (this.#records && !record?.hasHeadersOf(member)) {
      this.#skip(member);
      this.#differs(
        'damaged',
        record ?? member,
        'not restored: its headers are not what the index of the archive says',
      );
    } else {
      const judgement = this.#rules.judge(member);
      if (judgement.what === 'take' && judgement.isReduced) this.#found.leftOut.privileges++;
      const sha256 = judgement.what === 'take' ? this.#pass(judgement.member) : this.#leaveOut(member, judgement);
      if (record && !record.hasData(sha256))
        this.#differs('content', member, 'it is not what the index of the archive says');
    }
    this.#records?.finishMember();
  }

  #skip(member: TarMember): void {
    if (member.type === 'file') this.#data(member, () => {});
  }

  /** @returns the hash of the data of a file, where it is wanted. */
  #leaveOut(member: TarMember, judgement: Exclude<Judgement, { what: 'take' }>): string | null {
    if (judgement.what === 'device') this.#found.leftOut.devices++;
    if (judgement.what === 'refuse') this.#differs('outside', member, `not restored: ${judgement.why}`);
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
    if (this.#found.contentBytes > this.#target.maxBytes) throw new TarError('it holds more than there is room for');
    const sha256 = this.#data(member, (bytes) => this.#output.write(bytes));
    this.#output.write(paddingAfter(member));
    return sha256;
  }

  /** What is cut short is not made up for by padding: nothing more is written then. */
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
