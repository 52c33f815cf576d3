/** The price flags of the commands that estimate costs. */
import { Option } from 'commander';

export interface PriceFlags {
  prices?: string;
  refreshPrices?: true;
  profile?: string;
  callTimeout?: number;
}

export const priceOptions = (): Option[] => [
  new Option('--prices <file>', 'JSON file with your own rates, which replace the list prices'),
  new Option('--refresh-prices', 'fetch current prices from the AWS Price List API instead of using the built-in ones'),
];
