/** Which prices: flags that all commands share that tell of costs. */
import { readFileSync } from 'node:fs';
import { Option } from 'commander';
import { BUILT_IN } from '../costs/built-in-prices.ts';
import { pricesFromFile } from '../costs/price-file.ts';
import type { Prices } from '../costs/prices.ts';
import { SnapError } from '../errors.ts';

export interface PriceFlags {
  prices?: string;
}

export const priceOptions = (): Option[] => [
  new Option('--prices <file>', 'your own rates, as JSON, over the list prices in the program'),
];

/** @throws SnapError `USAGE` when the file cannot be read, or is not what it should be. */
export const pricesOf = (flags: PriceFlags): Prices =>
  flags.prices === undefined ? BUILT_IN : pricesFromFile(readPrices(flags.prices), flags.prices);

function readPrices(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new SnapError('USAGE', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
