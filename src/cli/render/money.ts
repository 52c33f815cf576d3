/** Amounts of bills, in whatever currency. */

/** `$12.30`, `CNY 12.30`; more digits where an amount is less than a cent. */
export function money(value: number, currency: string): string {
  const small = value !== 0 && Math.abs(value) < 0.01;
  return inCurrency(small ? value.toPrecision(2) : value.toFixed(2), currency);
}

export const inCurrency = (text: string, currency: string): string =>
  currency === 'USD' ? `$${text}` : `${currency} ${text}`;
