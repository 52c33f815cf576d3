/** Which times files below a directory can have, by trying it out: filesystems change others without an error. */
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeptTimes } from '../../../streams/kept-times.ts';
import { runTool, ToolError } from '../../../transfer/run-tool.ts';

const SECOND = 1_000_000_000n;

/** An odd second with all nine digits, which every filesystem has a time near to. */
const SAMPLE = 1_000_000_001n * SECOND + 123_456_789n;

/** From a nanosecond to the two seconds of FAT. */
const STEPS = [1n, 100n, 1000n, 1_000_000n, SECOND / 100n, SECOND, 2n * SECOND];

/** Seconds: no filesystem reaches them but those that take any. */
const [EARLIEST, LATEST] = [-(2n ** 62n), 2n ** 62n];

/** @returns `null` where a file cannot be made, or its times follow no rule that is known. */
export async function timesKeptIn(directory: string, signal: AbortSignal): Promise<KeptTimes | null> {
  const file = join(directory, '.snap-to-s3-times');
  try {
    writeFileSync(file, '');
    const given = async (seconds: bigint, fraction = 0n): Promise<bigint> => {
      await runTool(['touch', '--no-create', `--date=@${seconds}.${String(fraction).padStart(9, '0')}`, '--', file], {
        signal,
      });
      return statSync(file, { bigint: true }).mtimeNs;
    };
    const sample = await given(SAMPLE / SECOND, SAMPLE % SECOND);
    const step = STEPS.find((length) => sample === SAMPLE - (SAMPLE % length));
    if (step === undefined) return null;
    const [earliest, latest] = [await given(EARLIEST), await given(LATEST)];
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
