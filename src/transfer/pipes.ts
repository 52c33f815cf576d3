/**
 * Pipes between child processes that this process never touches.
 *
 * What Node calls a pipe is a socket pair, and an anonymous pipe cannot be had from it; a named one in a private
 * directory, whose name is gone before anything is written to it, is the same to both ends. Pipes are widened from
 * the kernel's 64 KiB to 1 MiB, which makes a chain of compressors a third faster (docs/development/performance.md).
 */
import { closeSync, constants, openSync, write } from 'node:fs';
import { join } from 'node:path';
import { SnapError } from '../errors.ts';
import { seconds } from '../lib/clock.ts';
import { temporaryDirectory } from '../lib/temporary-files.ts';
import { outcomeWithin, startStage } from './process.ts';
import { runTool } from './run-tool.ts';

export interface Pipe {
  /** File descriptors of this process, blocking, closed on exec; the caller closes both. */
  readEnd: number;
  writeEnd: number;
}

/** Made ahead, since making eight takes no longer than making one. They end with this process. */
const spare: Pipe[] = [];

const PIPES_PER_CALL = 8;

/** @returns pipes that are the caller's. */
export async function makePipes(count: number): Promise<Pipe[]> {
  while (spare.length < count) spare.push(...(await makeMore()));
  return spare.splice(0, count);
}

export async function makePipe(): Promise<Pipe> {
  const [pipe] = await makePipes(1);
  if (!pipe) throw new SnapError('BUG', 'no pipe was made');
  return pipe;
}

async function makeMore(): Promise<Pipe[]> {
  await using directory = temporaryDirectory();
  const names = Array.from({ length: PIPES_PER_CALL }, (_, index) => join(directory.path, String(index)));
  await runTool(['mkfifo', '--mode=600', ...names]);
  const pipes = names.map(openBothEnds);
  await widen(pipes);
  return pipes;
}

/**
 * Opening one end of a named pipe blocks until there is the other. A reader that does not block comes first, so that
 * the writer finds one; the reader proper comes then, and the first is closed.
 */
function openBothEnds(name: string): Pipe {
  const placeholder = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(name, constants.O_WRONLY);
  const readEnd = openSync(name, constants.O_RDONLY);
  closeSync(placeholder);
  return { readEnd, writeEnd };
}

/** `fcntl(fd, F_SETPIPE_SZ, 1 MiB)`, which Node does not offer, for descriptors 3 and up of a helper process. */
const SET_PIPE_SIZE = 1031;
const PIPE_BYTES = 1_048_576;

const LAST = PIPES_PER_CALL + 2;

const WIDENERS = [
  [
    'perl',
    '-e',
    `for (3..${LAST}) { open(my $pipe, "<&=", $_) or next; fcntl($pipe, ${SET_PIPE_SIZE}, ${PIPE_BYTES}); }`,
  ],
  ['python3', '-c', `import fcntl\nfor fd in range(3, ${LAST + 1}): fcntl.fcntl(fd, ${SET_PIPE_SIZE}, ${PIPE_BYTES})`],
];

const WIDENS_WITHIN = seconds(30);

/** The first interpreter that is there does it; without any, pipes stay as they are, and only speed suffers. */
async function widen(pipes: readonly Pipe[]): Promise<void> {
  const ends = pipes.map(({ readEnd }) => readEnd);
  for (const argv of WIDENERS) {
    const widening = startStage(argv, { stdin: null, stdout: null, others: ends });
    const outcome = await outcomeWithin(widening, WIDENS_WITHIN);
    if (outcome.exitCode === 0) return;
  }
}

/** Closes what is still open of a set of descriptors; each must be given only once. */
export function closeAll(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) {
    try {
      closeSync(descriptor);
    } catch (cause) {
      throw new SnapError('BUG', `file descriptor ${descriptor} was closed twice`, { cause });
    }
  }
}

/** @returns `false` when nobody reads any more. */
export async function writeAll(descriptor: number, bytes: Uint8Array): Promise<boolean> {
  for (let done = 0; done < bytes.length; ) {
    const count = await new Promise<number>((resolve, reject) => {
      write(descriptor, bytes, done, bytes.length - done, null, (error, written) => {
        if (!error) resolve(written);
        else if (error.code === 'EPIPE') resolve(0);
        else reject(error);
      });
    });
    if (count === 0) return false;
    done += count;
  }
  return true;
}
