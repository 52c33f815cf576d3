/** Waits for a condition. A test must fail, not wait forever, if the program never does what is expected. */
import { setTimeout } from 'node:timers/promises';

/** In milliseconds; many times what any condition takes on a machine under load. */
const LIMIT = 300_000;

export async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + LIMIT;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`this did not happen within ${LIMIT / 1000} s: ${condition}`);
    await setTimeout(50);
  }
}
