/** A set of strings that stores only their hashes. */
import { HashedTable } from './hashed-table.ts';

export class HashedSet {
  readonly #table = new HashedTable(0);

  has(text: string): boolean {
    return this.#table.get(text) !== null;
  }

  add(text: string): void {
    this.#table.add(text, []);
  }
}
