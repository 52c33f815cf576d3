/** Finds out by experiment which times a filesystem can store: filesystems silently change the times that they cannot. */
import { randomUUID } from 'node:crypto';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeptTimes } from '../../../streams/tar/kept-times.ts';
import { runTool, ToolError } from '../../../transfer/run-tool.ts';

const SECOND = 1_000_000_000n;

/** An odd second with all nine decimal places, in a year that every filesystem supports. */
const SAMPLE = 1_000_000_001n * SECOND + 123_456_789n;

/** Known resolutions, from one nanosecond to the two seconds of FAT. */
const STEPS = [1n, 100n, 1000n, 1_000_000n, SECOND / 100n, SECOND, 2n * SECOND];

/** Seconds outside the range of every filesystem with a limited range. */
const [EARLIEST, LATEST] = [-(2n ** 62n), 2n ** 62n];

/** @returns `null` if no file can be created in the directory, or its times have an unknown resolution. */
export async function timesKeptIn(directory: string, signal: AbortSignal): Promise<KeptTimes | null> {
  // The name is random: the directory may hold restored files, and among them a link with any name that can be predicted.
  const file = join(directory, `.snap-to-s3-times-${randomUUID()}`);
  try {
    writeFileSync(file, '', { flag: 'wx', mode: 0o600 });
    const storedTime = async (seconds: bigint, fraction = 0n): Promise<bigint> => {
      await runTool(['touch', '--no-create', `--date=@${seconds}.${String(fraction).padStart(9, '0')}`, '--', file], {
        signal,
      });
      return statSync(file, { bigint: true }).mtimeNs;
    };
    const sample = await storedTime(SAMPLE / SECOND, SAMPLE % SECOND);
    const step = STEPS.find((length) => sample === SAMPLE - (SAMPLE % length));
    if (step === undefined) return null;
    const [earliest, latest] = [await storedTime(EARLIEST), await storedTime(LATEST)];
    return {
      from: earliest > EARLIEST * SECOND && earliest < SAMPLE && earliest !== 0n ? earliest : null,
      to: latest < LATEST * SECOND && latest > SAMPLE ? latest : null,
      step,
    };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ToolError || (error as NodeJS.ErrnoException).code !== undefined) return null;
    throw error;
  } finally {
    rmSync(file, { force: true });
  }
}
