/** Output that cannot be written: the reader of the pipe has exited (`| head`), or the disk is full. */
import { pipeline } from 'node:stream/promises';
import { EXIT, type ExitCode } from '../errors.ts';

/** Errors because the reader has exited, and errors of later writes to the same stream. */
const HARMLESS = ['EPIPE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_WRITE_AFTER_END'];

/** Failed output does not stop a run, because the run must release its volumes and finish its uploads. */
export class LostOutput {
  readonly #process: Pick<NodeJS.Process, 'stdout' | 'stderr' | 'exitCode'>;
  #isLost = false;
  #hasVerdict = false;

  /** Streams report write errors as events. Streams of files also throw them, which `printer` handles. */
  constructor(process: Pick<NodeJS.Process, 'stdout' | 'stderr' | 'exitCode'>) {
    this.#process = process;
    // The listeners stay, because the last lines may fail after the command has ended.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', (error) => this.note(error));
  }

  note(error: unknown): void {
    this.#isLost ||= !HARMLESS.includes((error as NodeJS.ErrnoException).code ?? '');
    // The error of the last lines arrives after the exit code was set.
    if (this.#isLost && this.#hasVerdict) this.#process.exitCode ||= EXIT.failed;
  }

  /** @returns a function that writes to the stream, and records failures instead of throwing them. */
  printer(stream: { write(text: string): unknown }): (text: string) => void {
    return (text) => {
      try {
        stream.write(text);
      } catch (error) {
        this.note(error);
      }
    };
  }

  /** Writes text that is too large to be held in memory as a whole, such as a JSON document of 100 MB. */
  async printChunks(stream: NodeJS.WritableStream, chunks: Iterable<string>): Promise<void> {
    try {
      await pipeline(chunks, stream, { end: false });
    } catch (error) {
      this.note(error);
    }
  }

  /** @returns `EXIT.failed` instead of `EXIT.ok` if output was lost for another reason than a reader that has exited. */
  verdict(code: ExitCode): ExitCode {
    this.#hasVerdict = true;
    return this.#isLost && code === EXIT.ok ? EXIT.failed : code;
  }
}
