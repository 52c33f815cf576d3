/** Waits for a condition, however long that takes; the test runner's own limit ends what never comes. */
import { setTimeout } from 'node:timers/promises';

export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await setTimeout(50);
}
