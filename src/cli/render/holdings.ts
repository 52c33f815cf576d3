/** The resources that a run holds now. A second signal prints them, because then they are not released. */
import type { Holding } from '../../events.ts';

export class HoldingList {
  readonly #held = new Set<Holding>();

  add(holding: Holding): Disposable {
    this.#held.add(holding);
    return { [Symbol.dispose]: () => this.#held.delete(holding) };
  }

  /** Newest first, which is the order in which they must be released. */
  describe(): string {
    if (this.#held.size === 0) return 'quit immediately; nothing is left behind\n';
    const lines = [...this.#held].reverse().map(({ what, cleanupCommand }) => `  ${what}\n    ${cleanupCommand}`);
    return `quit immediately; left behind, with the commands that remove it:\n${lines.join('\n')}\n`;
  }
}
