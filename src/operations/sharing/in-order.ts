/** Runs the work on things of the same group one after another, in the order in which it was requested. */
export class InOrder {
  readonly #last = new Map<string, Promise<unknown>>();

  /** @throws what the work throws, which does not stop the work that follows. */
  async run<T>(group: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(group) ?? Promise.resolve();
    const running = before.then(work, work);
    this.#last.set(group, running);
    return running;
  }
}
