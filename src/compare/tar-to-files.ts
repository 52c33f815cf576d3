/** A tar stream, written anew with only what may become a file: for the tar that extracts it. */
import { createHash, type Hash } from 'node:crypto';
import { writeSync } from 'node:fs';
import type { ByteStream } from '../archive/byte-stream.ts';
import { readMembers, TarError, type TarMember } from '../archive/tar-reader.ts';
import { encodeMember, type NewMember, paddingAfter, TAR_END } from '../archive/tar-writer.ts';
import type { Cut } from './cut-stream.ts';
import { type DifferenceKind, DifferenceList } from './difference.ts';
import { pathOfMember } from './disk-tree.ts';
import { MemberRecordsReader } from './member-records.ts';
import { type ExtractionRules, type Judgement, MemberRules } from './member-rules.ts';

export interface FilesTarget {
  /** The write end of a pipe that is read by tar; it stays the caller's. */
  descriptor: number;
  rules: ExtractionRules;
  /** Bytes of files at the most: a small archive can hold what fills any disk. */
  mostBytes: number;
  /** Where only some members are fetched: what to take of the stream. `null`: all of it. */
  cuts: readonly Cut[] | null;
  /** A file with what the index says of each member that comes; `null` without one. */
  records: string | null;
}

/** What was not restored as it was archived, since nobody asked for it. */
export interface LeftOut {
  devices: number;
  /** Files without their set-user-ID and set-group-ID bits and capabilities. */
  privileges: number;
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

const AT_ONCE = 1024 * 1024;

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
    leftOut: { devices: 0, privileges: 0 },
    missing: [],
  };
  /** Why it ended says tar itself; the stream is read to its end all the same. */
  #isReaderGone = false;

  constructor(stream: ByteStream, target: FilesTarget, records: MemberRecordsReader | null) {
    this.#stream = stream;
    this.#records = records;
    this.#target = target;
    this.#rules = new MemberRules(target.rules);
  }

  run(): FilesFound {
    const { differences } = this.#found;
    try {
      for (const member of readMembers(this.#stream)) this.#take(member);
      if (this.#records?.isAtEnd === false) throw new TarError('members that the index has are missing');
      this.#write(TAR_END);
    } catch (error) {
      if (!(error instanceof TarError)) throw error;
      differences.add('damaged', '', error.message);
    }
    this.#found.missing = this.#rules.wanted.missing;
    return this.#found;
  }

  #take(member: TarMember): void {
    const hash = this.#records && member.type === 'file' ? createHash('sha256') : null;
    const judgement = this.#rules.judge(member);
    if (judgement.what === 'take') {
      if (judgement.isReduced) this.#found.leftOut.privileges++;
      this.#pass(judgement.member, hash);
    } else this.#leaveOut(member, judgement, hash);
    if (this.#records && !this.#records.matchesNext(member.path, hash?.digest('hex') ?? null))
      this.#differs('content', member, 'it is not what the index of the archive says');
  }

  #leaveOut(member: TarMember, judgement: Exclude<Judgement, { what: 'take' }>, hash: Hash | null): void {
    if (judgement.what === 'device') this.#found.leftOut.devices++;
    if (judgement.what === 'refuse') this.#differs('outside', member, `not restored: ${judgement.why}`);
    if (member.type === 'file') this.#data(member, (bytes) => hash?.update(bytes));
  }

  #differs(kind: DifferenceKind, { path }: TarMember, detail: string): void {
    this.#found.differences.add(kind, pathOfMember(path) ?? path, detail);
  }

  #pass(member: NewMember, hash: Hash | null): void {
    this.#found.members++;
    this.#write(encodeMember(member));
    if (member.type !== 'file') return;
    this.#found.files++;
    this.#found.contentBytes += dataBytes(member);
    if (this.#found.contentBytes > this.#target.mostBytes) throw new TarError('it holds more than there is room for');
    this.#data(member, (bytes) => {
      hash?.update(bytes);
      this.#write(bytes);
    });
    this.#write(paddingAfter(member));
  }

  #data(member: NewMember, take: (bytes: Buffer) => void): void {
    for (let rest = dataBytes(member); rest > 0; ) {
      const some = this.#stream.some(Math.min(rest, AT_ONCE));
      if (some.length === 0) throw new TarError('the tar ends within a file');
      take(some);
      rest -= some.length;
    }
  }

  #write(bytes: Buffer): void {
    try {
      for (let done = 0; done < bytes.length && !this.#isReaderGone; ) {
        done += writeSync(this.#target.descriptor, bytes, done, bytes.length - done);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
      this.#isReaderGone = true;
    }
  }
}

const dataBytes = ({ segments }: NewMember): number => segments.reduce((sum, { length }) => sum + length, 0);
