/** Runs the `lz4` command for one block, which takes longer to compress at its levels than to pass through two pipes. */
import { spawnSync } from 'node:child_process';
import type { Codec } from '../archive/codec.ts';
import { frameOf, HEADER_BYTES, LENGTH_BYTES, LENGTH_MASK, UNCOMPRESSED } from '../archive/lz4-frame.ts';

/** Levels below this one are compressed by our own coder, the others by the `lz4` command. */
const FIRST_COMMAND_LEVEL = 3;

/** Whether a command compresses, and not only threads of this program. */
export const isByCommand = ({ name, level }: Codec): boolean => name === 'lz4' && level >= FIRST_COMMAND_LEVEL;

/** The maximum output in bytes. lz4 adds less than a hundredth to bytes that it cannot compress. */
const MAX_OUTPUT = 2 ** 23;

/** The limit in milliseconds. A block takes less than a second at the highest level. */
const TIMEOUT = 300_000;

/**
 * Compresses a block. It blocks the thread until the command has ended.
 * @param plain at most 4 MiB.
 * @param checksum the XXH32 of the plain bytes, which the frame of the command must have, too.
 * @returns the compressed block without its frame; `null` if it cannot be compressed.
 * @throws Error with the code `COMMAND_FAILED` if the command fails, or writes anything but one frame of this block.
 */
export function lz4Frame(plain: Buffer, level: number, checksum: number): Buffer | null {
  const argv = [`-${level}`, '-z', '-c', '-q', '-'];
  const { status, signal, stdout, stderr, error } = spawnSync('lz4', argv, {
    input: plain,
    maxBuffer: MAX_OUTPUT,
    timeout: TIMEOUT,
    killSignal: 'SIGKILL',
  });
  // If the command ends before it has read its input, there is an error besides its outcome.
  if (signal) throw failure(`lz4 was killed by ${signal}`);
  if (status) throw failure(`lz4 exited with ${status}: ${stderr}`);
  if (error) throw failure(error.message);
  const start = HEADER_BYTES + LENGTH_BYTES;
  const field = frameOf(stdout) && stdout.length > start ? stdout.readUInt32LE(HEADER_BYTES) : 0;
  const length = field & LENGTH_MASK;
  const end = start + length;
  const isOneBlock =
    stdout.length === end + 2 * LENGTH_BYTES &&
    stdout.readUInt32LE(end) === 0 &&
    stdout.readUInt32LE(end + LENGTH_BYTES) === checksum;
  if (!isOneBlock) throw failure('lz4 did not write one frame of the block that it was given');
  return (field & UNCOMPRESSED) === 0 && length < plain.length ? stdout.subarray(start, end) : null;
}

/** Errors that leave a thread keep their code, but not their class. */
const COMMAND_FAILED = 'COMMAND_FAILED';

const failure = (message: string): Error => Object.assign(new Error(message), { code: COMMAND_FAILED });

/** Whether a command has failed, not this program. */
export const isCommandFailure = (error: unknown): error is Error =>
  error instanceof Error && (error as { code?: unknown }).code === COMMAND_FAILED;
