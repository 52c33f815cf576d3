/** Confirmation prompts on the terminal. */
import type { CliContext } from './context.ts';
import type { OutputFlags } from './options.ts';

/** Whether both ends are a terminal, and the output mode permits a prompt. */
export const canAsk = ({ json, quiet }: OutputFlags, { process: { stdin, stderr } }: CliContext): boolean =>
  stdin.isTTY && stderr.isTTY && !json && !quiet;

/** @returns whether the user answered yes; `false` at the end of the input, or if the run is interrupted. */
export async function ask(question: string, { process, signal }: CliContext): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    return false;
  } finally {
    lines.close();
  }
}
