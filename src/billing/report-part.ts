/** What one file says of snapshots: it counts when it has been read to its end, and only once. */
import { createHash } from 'node:crypto';
import type { Usage } from './usage.ts';

/** Rows that are hashed together: a call for each would take longer than the hash. */
const BATCH = 512;

/** Numbers of a row. */
const NUMBERS = 4;

/** Where the rows of a file go. */
interface Rows {
  add(usage: Usage): void;
}

export class ReportPart<L extends Rows = Rows> {
  readonly name: string;
  /** Of this file alone. */
  readonly ledger: L;
  rows = 0;
  readonly #hash = createHash('sha256');
  #texts = '';
  /** As they are: to write them out as decimals would take longer than all of the rest. */
  readonly #numbers = new Float64Array(BATCH * NUMBERS);
  #inBatch = 0;

  constructor(name: string, ledger: L) {
    this.name = name;
    this.ledger = ledger;
  }

  add(usage: Usage): void {
    this.rows++;
    this.ledger.add(usage);
    const { tier, resource, region, account, currency, amount, cost, start, end } = usage;
    this.#texts += `${tier}\t${resource}\t${region}\t${account}\t${currency}\n`;
    const at = this.#inBatch++ * NUMBERS;
    this.#numbers[at] = amount;
    this.#numbers[at + 1] = cost ?? -1;
    this.#numbers[at + 2] = start;
    this.#numbers[at + 3] = end;
    if (this.#inBatch === BATCH) this.#flush();
  }

  /** The same for files whose rows of snapshots say the same in the same order, however they are named or packed. */
  fingerprint(): string {
    this.#flush();
    return this.#hash.copy().digest('hex');
  }

  #flush(): void {
    this.#hash.update(this.#texts).update(this.#numbers.subarray(0, this.#inBatch * NUMBERS));
    this.#texts = '';
    this.#inBatch = 0;
  }
}
