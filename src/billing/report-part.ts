/** The rows about snapshots in one file, which count once, after the whole file was read. */
import { createHash } from 'node:crypto';
import type { Usage } from './usage.ts';

/** Number of rows hashed together: one call for each row would take longer than the hash. */
const BATCH = 512;

/** Number of numeric values per row. */
const NUMBERS = 4;

/** Receives the rows of a file. */
interface Rows {
  add(usage: Usage): void;
}

export class ReportPart<L extends Rows = Rows> {
  readonly name: string;
  /** Contains only this file. */
  readonly ledger: L;
  rows = 0;
  readonly #hash = createHash('sha256');
  #texts = '';
  /** The numbers in binary form: formatting them as decimals would take longer than everything else. */
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

  /** Equal for files with the same rows about snapshots in the same order, whatever their names and compression. */
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
