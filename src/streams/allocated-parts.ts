/** Finds the allocated parts of files with the help of another process (`host/filesystems/extent-mapper.ts`). */
import { readSync } from 'node:fs';
import { writeWhole } from '../lib/bytes/write-whole.ts';

/** A range of bytes of a file; `to` is exclusive. */
export interface FilePart {
  from: bigint;
  to: bigint;
}

/** Descriptors for questions and answers. */
export interface MapperEnds {
  questions: number;
  answers: number;
}

const LINE_FEED = 0x0a;
const CHUNK_BYTES = 64 * 1024;

export class AllocatedParts {
  /** `null` if the process does not answer any more. */
  #mapper: MapperEnds | null;
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);

  /** @param mapper `null` if there is no such process. Then everything counts as allocated. */
  constructor(mapper: MapperEnds | null) {
    this.#mapper = mapper;
  }

  /** Yields the allocated parts of a range in ascending order. Parts without an answer count as allocated. */
  *within(descriptor: number, whole: FilePart): Generator<FilePart> {
    for (let from = whole.from; from < whole.to; ) {
      const answer = this.#ask(descriptor, from, whole.to);
      if (answer === null) return yield { from, to: whole.to };
      for (const part of answer.parts) {
        if (part.to > from && part.from < whole.to) yield { from: max(part.from, from), to: min(part.to, whole.to) };
        from = max(from, part.to);
      }
      if (answer.isLast) return;
    }
  }

  #ask(descriptor: number, from: bigint, to: bigint): { isLast: boolean; parts: FilePart[] } | null {
    const line = this.#exchange(`${descriptor} ${from} ${to - from}\n`);
    if (line === null || !/^[01]( \d+ \d+)*$/.test(line)) return null;
    const [isLast, ...numbers] = line.split(' ');
    const parts: FilePart[] = [];
    for (let at = 0; at < numbers.length; at += 2) {
      const start = BigInt(numbers[at] ?? 0);
      parts.push({ from: start, to: start + BigInt(numbers[at + 1] ?? 0) });
    }
    // An answer without progress would lead to an endless loop.
    return isLast === '1' || (parts.at(-1)?.to ?? from) > from ? { isLast: isLast === '1', parts } : null;
  }

  /** @returns the answer without its line feed. */
  #exchange(question: string): string | null {
    if (!this.#mapper) return null;
    try {
      writeWhole(this.#mapper.questions, Buffer.from(question));
      const answer = this.#readLine(this.#mapper.answers);
      if (answer !== null) return answer;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    }
    this.#mapper = null;
    return null;
  }

  #readLine(descriptor: number): string | null {
    for (let filled = 0; filled < CHUNK_BYTES; ) {
      const count = readSync(descriptor, this.#buffer, filled, CHUNK_BYTES - filled, null);
      if (count === 0) return null;
      filled += count;
      if (this.#buffer[filled - 1] === LINE_FEED) return this.#buffer.toString('latin1', 0, filled - 1);
    }
    return null;
  }
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
