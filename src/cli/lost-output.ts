/** Output that nobody takes any more: `| head`, a log reader that died, a full disk. */
import { pipeline } from 'node:stream/promises';
import { EXIT, type ExitCode } from '../errors.ts';

/** A reader that went away; and what comes of writing on after the first error. */
const HARMLESS = ['EPIPE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_WRITE_AFTER_END'];

/** The work goes on: it holds volumes and uploads, and must end properly, seen or not. */
export class LostOutput {
  readonly #process: Pick<NodeJS.Process, 'stdout' | 'stderr' | 'exitCode'>;
  #isLost = false;
  #hasVerdict = false;

  /** Streams report errors by events; those of files throw as well, wherever they are written to. */
  constructor(process: Pick<NodeJS.Process, 'stdout' | 'stderr' | 'exitCode'>) {
    this.#process = process;
    // Never taken off: the last lines may fail after everything else has ended.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', (error) => this.note(error));
  }

  note(error: unknown): void {
    this.#isLost ||= !HARMLESS.includes((error as NodeJS.ErrnoException).code ?? '');
    // The error of the last lines comes when the command has ended already.
    if (this.#isLost && this.#hasVerdict) this.#process.exitCode ||= EXIT.failed;
  }

  /** @returns what writes to a stream, and notes failures instead of throwing them. */
  printer(stream: { write(text: string): unknown }): (text: string) => void {
    return (text) => {
      try {
        stream.write(text);
      } catch (error) {
        this.note(error);
      }
    };
  }

  /** Writes what is too much to be held at once. */
  async printPieces(stream: NodeJS.WritableStream, pieces: Iterable<string>): Promise<void> {
    try {
      await pipeline(pieces, stream, { end: false });
    } catch (error) {
      this.note(error);
    }
  }

  /** Lines that could not be kept make a failure of a run; readers that went away do not. */
  verdict(code: ExitCode): ExitCode {
    this.#hasVerdict = true;
    return this.#isLost && code === EXIT.ok ? EXIT.failed : code;
  }
}
