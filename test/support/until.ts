/** Waits for a condition without a limit of its own; the limit of the test runner applies. */
import { setTimeout } from 'node:timers/promises';

export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await setTimeout(50);
}
