/** Runs system tools and waits for them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** @returns standard output. @throws Error with the standard error of the tool. */
export async function run(argv: readonly string[], allowed: readonly number[] = [0]): Promise<string> {
  const [tool = '', ...rest] = argv;
  try {
    const { stdout } = await execute(tool, rest, { maxBuffer: 64 * 1024 * 1024, env: { ...process.env, LC_ALL: 'C' } });
    return stdout;
  } catch (error) {
    const failed = error as { code?: unknown; stdout?: string; stderr?: string; message: string };
    if (typeof failed.code === 'number' && allowed.includes(failed.code)) return failed.stdout ?? '';
    throw new Error(`${argv.join(' ')}: ${failed.stderr?.trim() || failed.message}`, { cause: error });
  }
}

/** Like `run`, with text for the standard input of the tool. */
export async function runWithInput(argv: readonly string[], input: string): Promise<string> {
  const [tool = '', ...rest] = argv;
  const running = execute(tool, rest, { env: { ...process.env, LC_ALL: 'C' } });
  running.child.stdin?.end(input);
  return (await running).stdout;
}
