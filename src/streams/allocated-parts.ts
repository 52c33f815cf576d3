/** Finds the allocated parts of files with the help of another process (`host/filesystems/extent-mapper.ts`). */
import { read, readSync, write } from 'node:fs';
import { promisify } from 'node:util';
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
      yield* partsIn(answer, { from, to: whole.to });
      if (answer.isLast) return;
      from = answer.upTo;
    }
  }

  #ask(descriptor: number, from: bigint, to: bigint): Answer | null {
    return parseAnswer(this.#exchange(questionAbout(descriptor, { from, to })), from);
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

/** Does the same as `AllocatedParts.within`, without blocking the thread. */
export async function* allocatedParts(
  mapper: MapperEnds | null,
  descriptor: number,
  whole: FilePart,
): AsyncGenerator<FilePart> {
  for (let from = whole.from; from < whole.to; ) {
    const question = questionAbout(descriptor, { from, to: whole.to });
    const answer = mapper && parseAnswer(await exchange(mapper, question), from);
    if (answer === null) return yield { from, to: whole.to };
    yield* partsIn(answer, { from, to: whole.to });
    if (answer.isLast) return;
    from = answer.upTo;
  }
}

const [readAsync, writeAsync] = [promisify(read), promisify(write)];

/** @returns the answer without its line feed; `null` if the process has ended. */
async function exchange({ questions, answers }: MapperEnds, question: string): Promise<string | null> {
  try {
    // A question is shorter than what a pipe takes at once.
    await writeAsync(questions, question);
    let answer = '';
    while (!answer.endsWith('\n')) {
      const { bytesRead, buffer } = await readAsync(answers, Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, null);
      if (bytesRead === 0) return null;
      answer += buffer.toString('latin1', 0, bytesRead);
    }
    return answer.slice(0, -1);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    return null;
  }
}

interface Answer {
  parts: FilePart[];
  /** Whether there are no further parts. */
  isLast: boolean;
  /** Where the next question starts. */
  upTo: bigint;
}

const questionAbout = (descriptor: number, { from, to }: FilePart): string => `${descriptor} ${from} ${to - from}\n`;

/** @returns `null` if the answer cannot be used. */
function parseAnswer(line: string | null, from: bigint): Answer | null {
  if (line === null || !/^[01]( \d+ \d+)*$/.test(line)) return null;
  const [isLast, ...numbers] = line.split(' ');
  const parts: FilePart[] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    const start = BigInt(numbers[at] ?? 0);
    parts.push({ from: start, to: start + BigInt(numbers[at + 1] ?? 0) });
  }
  const upTo = parts.at(-1)?.to ?? from;
  // An answer without progress would lead to an endless loop.
  return isLast === '1' || upTo > from ? { isLast: isLast === '1', parts, upTo } : null;
}

function* partsIn({ parts }: Answer, whole: FilePart): Generator<FilePart> {
  let { from } = whole;
  for (const part of parts) {
    if (part.to > from && part.from < whole.to) yield { from: max(part.from, from), to: min(part.to, whole.to) };
    from = max(from, part.to);
  }
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
