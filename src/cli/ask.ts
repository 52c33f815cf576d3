/** Questions to whoever sits at the terminal. */
import { createInterface } from 'node:readline/promises';
import type { CliContext } from './context.ts';
import type { OutputFlags } from './options.ts';

export const canAsk = ({ json, quiet }: OutputFlags, { process: { stdin, stderr } }: CliContext): boolean =>
  stdin.isTTY && stderr.isTTY && !json && !quiet;

/** Whether the answer is yes. */
export async function ask(question: string, { process, signal }: CliContext): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    // Interrupted, or the end of the input.
    return false;
  } finally {
    lines.close();
  }
}
