/** Provides the published program, which is compiled and is started through its first line. */
import { join } from 'node:path';
import { run } from '../lab/core/run.ts';

/** Builds the program unless SNAP_TO_S3_PROGRAM names one. @returns the path of the program. */
export async function publishedProgram(): Promise<string> {
  const built = process.env['SNAP_TO_S3_PROGRAM'];
  if (built !== undefined) return built;
  await run(['npm', 'run', '--silent', 'build']);
  return join(import.meta.dirname, '..', 'dist', 'src', 'bin.js');
}
