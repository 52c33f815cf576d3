/** A tar stream, written anew with only what may become a file: for the tar that extracts it. */
import { writeSync } from 'node:fs';
import type { ByteStream } from '../archive/byte-stream.ts';
import { readMembers, TarError, type TarMember } from '../archive/tar-reader.ts';
import { encodeMember, type NewMember, paddingAfter, TAR_END } from '../archive/tar-writer.ts';
import { DifferenceList } from './difference.ts';
import { pathOfMember } from './disk-tree.ts';
import { type ExtractionRules, MemberRules } from './member-rules.ts';

export interface FilesTarget {
  /** The write end of a pipe that is read by tar; it stays the caller's. */
  descriptor: number;
  rules: ExtractionRules;
  /** Bytes of files at the most: a small archive can hold what fills any disk. */
  mostBytes: number;
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
  return new FileWriter(stream, target).run();
}

class FileWriter {
  readonly #stream: ByteStream;
  readonly #target: FilesTarget;
  readonly #rules: MemberRules;
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

  constructor(stream: ByteStream, target: FilesTarget) {
    this.#stream = stream;
    this.#target = target;
    this.#rules = new MemberRules(target.rules);
  }

  run(): FilesFound {
    const { differences } = this.#found;
    try {
      for (const member of readMembers(this.#stream)) this.#take(member);
      this.#write(TAR_END);
    } catch (error) {
      if (!(error instanceof TarError)) throw error;
      differences.add('damaged', '', error.message);
    }
    const { paths } = this.#target.rules;
    this.#found.missing = (paths ?? []).filter((path) => !this.#rules.matched.has(path));
    return this.#found;
  }

  #take(member: TarMember): void {
    const { leftOut, differences } = this.#found;
    const judgement = this.#rules.judge(member);
    if (judgement.what === 'take') {
      if (judgement.isReduced) leftOut.privileges++;
      this.#pass(judgement.member);
      return;
    }
    if (judgement.what === 'device') leftOut.devices++;
    if (judgement.what === 'refuse') {
      differences.add('outside', pathOfMember(member.path) ?? member.path, `not restored: ${judgement.why}`);
    }
    if (member.type === 'file') this.#stream.skip(dataBytes(member));
  }

  #pass(member: NewMember): void {
    this.#found.members++;
    this.#write(encodeMember(member));
    if (member.type !== 'file') return;
    this.#found.files++;
    const bytes = dataBytes(member);
    this.#found.contentBytes += bytes;
    if (this.#found.contentBytes > this.#target.mostBytes) throw new TarError('it holds more than there is room for');
    for (let rest = bytes; rest > 0; ) {
      const some = this.#stream.some(Math.min(rest, AT_ONCE));
      if (some.length === 0) throw new TarError('the tar ends within a file');
      this.#write(some);
      rest -= some.length;
    }
    this.#write(paddingAfter(member));
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
