/**
 * Pipes between child processes. Their data does not pass through this process.
 *
 * Node's own pipes are socket pairs, and it cannot create anonymous pipes. A named pipe in a private directory, which
 * is removed before any data is written, works the same for both ends. Pipes are enlarged from 64 KiB to 1 MiB, which
 * makes a chain of compressors a third faster (docs/development/performance.md).
 */
import { closeSync, constants, openSync, write } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { SnapError } from '../errors.ts';
import { seconds } from '../lib/clock.ts';
import { temporaryDirectory } from '../lib/temporary-files.ts';
import { outcomeWithin, startStage } from './process.ts';
import { runTool } from './run-tool.ts';

export interface Pipe {
  /** File descriptors of this process, blocking and close-on-exec. The caller closes both. */
  readEnd: number;
  writeEnd: number;
}

/** Pipes made in advance: making eight takes no longer than making one. They are closed when this process exits. */
const spare: Pipe[] = [];

const PIPES_PER_CALL = 8;

/** @returns pipes that the caller closes. @throws ToolError or SnapError if they cannot be made. */
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
 * Opening one end of a named pipe blocks until the other end is open. A non-blocking reader is therefore opened first,
 * then the writer and the actual reader.
 */
function openBothEnds(name: string): Pipe {
  const placeholder = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeEnd = openSync(name, constants.O_WRONLY);
  const readEnd = openSync(name, constants.O_RDONLY);
  closeSync(placeholder);
  return { readEnd, writeEnd };
}

/** `fcntl(fd, F_SETPIPE_SZ, 1 MiB)` for descriptors 3 and up of a helper process, because Node does not offer it. */
const SET_PIPE_SIZE = 1031;
const PIPE_BYTES = 1_048_576;

const LAST_DESCRIPTOR = PIPES_PER_CALL + 2;

const WIDENERS = [
  [
    'perl',
    '-e',
    `for (3..${LAST_DESCRIPTOR}) { open(my $pipe, "<&=", $_) or next; fcntl($pipe, ${SET_PIPE_SIZE}, ${PIPE_BYTES}); }`,
  ],
  [
    'python3',
    '-c',
    `import fcntl\nfor fd in range(3, ${LAST_DESCRIPTOR + 1}): fcntl.fcntl(fd, ${SET_PIPE_SIZE}, ${PIPE_BYTES})`,
  ],
];

const WIDEN_TIMEOUT = seconds(30);

/** Uses the first interpreter that works. Without one, the pipes keep their size, which only affects the speed. */
async function widen(pipes: readonly Pipe[]): Promise<void> {
  const ends = pipes.map(({ readEnd }) => readEnd);
  for (const argv of WIDENERS) {
    const widening = startStage(argv, { stdin: null, stdout: null, others: ends });
    const outcome = await outcomeWithin(widening, WIDEN_TIMEOUT);
    if (outcome.exitCode === 0) return;
  }
}

/** Closes descriptors. @throws SnapError `BUG` if one of them is closed already */
export function closeAll(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) {
    try {
      closeSync(descriptor);
    } catch (cause) {
      throw new SnapError('BUG', `file descriptor ${descriptor} was closed twice`, { cause });
    }
  }
}

/**
 * Writes to a pipe for a long time. While the pipe is full, it occupies no thread of the pool, which name lookups and
 * files share. Disposing of it closes the descriptor.
 */
export class PipeWriter implements Disposable {
  readonly #socket: Socket;

  constructor(descriptor: number) {
    this.#socket = new Socket({ fd: descriptor, readable: false, writable: true });
    // Each failure is passed to the call of `write`, too.
    this.#socket.on('error', () => {});
  }

  /** Writes all bytes, which may be changed afterwards. @returns `false` if the reader has closed the other end. */
  write(bytes: Uint8Array): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    this.#socket.write(bytes, (error) => {
      if (!error) resolve(true);
      else if ((error as NodeJS.ErrnoException).code === 'EPIPE') resolve(false);
      else reject(error);
    });
    return promise;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

/** Writes all bytes to a pipe. @returns `false` if its reader has closed the other end. */
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
