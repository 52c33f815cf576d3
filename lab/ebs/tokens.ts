/** Tokens of blocks and pages. They are opaque, valid for one snapshot or listing, and limited in time. */
import { createHmac, randomBytes } from 'node:crypto';
import { type LabContext, ServiceError } from '../core/contract.ts';

/** Tokens of pages are valid for one hour. */
const PAGE_LIFE = 3_600_000;

export class Tokens {
  readonly #context: LabContext;
  readonly #secret = randomBytes(32);

  constructor(context: LabContext) {
    this.#context = context;
  }

  /** Returns the expiry in seconds since the epoch, with fractions. */
  expiry = (): number => (this.#context.now().getTime() + this.#context.delays.blockTokenLife) / 1000;

  forBlock = (snapshotId: string, index: number): string => this.#make('block', snapshotId, index, this.expiry());

  /** @param listing only a request for the same listing may use the token. */
  forPage(listing: string, index: number): string {
    const life = Math.min(PAGE_LIFE, this.#context.delays.blockTokenLife);
    return this.#make('page', listing, index, (this.#context.now().getTime() + life) / 1000);
  }

  check(token: string, snapshotId: string, index: number): void {
    if (this.#read('block', token, snapshotId) !== index) throw invalid('INVALID_BLOCK_TOKEN');
  }

  page = (token: string, listing: string): number => this.#read('page', token, listing);

  #make(kind: string, of: string, index: number, expires: number): string {
    const content = [kind, of, index, expires.toFixed(3)].join(':');
    return Buffer.from(`${content}:${this.#sign(content)}`).toString('base64');
  }

  #read(kind: string, token: string, expected: string): number {
    const parts = Buffer.from(token, 'base64').toString().split(':');
    const signature = parts.pop();
    const [made, of, index, expires] = parts;
    const reason = kind === 'page' ? 'INVALID_PAGE_TOKEN' : 'INVALID_BLOCK_TOKEN';
    if (signature !== this.#sign(parts.join(':')) || made !== kind || of !== expected) throw invalid(reason);
    if (Number(expires) * 1000 <= this.#context.now().getTime()) throw invalid(reason);
    return Number(index);
  }

  #sign = (content: string): string => createHmac('sha256', this.#secret).update(content).digest('hex').slice(0, 32);
}

const invalid = (reason: string): ServiceError =>
  new ServiceError('ValidationException', 'the token is not valid, or has expired', 400, { Reason: reason });
