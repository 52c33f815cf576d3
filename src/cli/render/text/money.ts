/** Amounts of money in any currency. */
import { decimals } from '../../../lib/units.ts';

/** `$12.30`, `CNY 12.30`; more digits for amounts below one cent, down to `<$0.0001`. */
export function formatMoney(value: number, currency: string): string {
  const digits = decimals(Math.abs(value));
  return digits === null ? `<${inCurrency('0.0001', currency)}` : inCurrency(value.toFixed(digits), currency);
}

export const inCurrency = (text: string, currency: string): string =>
  currency === 'USD' ? `$${text}` : `${currency} ${text}`;
