/** What a run holds at this moment, for the person who cannot wait until it has given everything back. */
import type { Holding } from '../../events.ts';

export class HoldingList {
  readonly #held = new Set<Holding>();

  add(holding: Holding): Disposable {
    this.#held.add(holding);
    return { [Symbol.dispose]: () => this.#held.delete(holding) };
  }

  /** The newest first, which is the order to give things back in. */
  describe(): string {
    if (this.#held.size === 0) return 'left at once; nothing was held\n';
    const lines = [...this.#held].reverse().map(({ what, cleanupCommand }) => `  ${what}\n    ${cleanupCommand}`);
    return `left at once, leaving behind:\n${lines.join('\n')}\n`;
  }
}
