/** Formats numbers, dates and choices for the page. */
import type { Choice } from '../../costs/analysis.ts';
import type { CompareOption } from '../../costs/compare-model.ts';
import type { Advice, Certainty } from './summary.ts';

const LOCALE = 'en-US';

/**
 * `1234.5` → `$1,234.50`. Amounts that would round to zero keep two significant digits. `currency` is untrusted, and need
 * not be a currency code.
 */
export function money(amount: number, currency: string, digits = 2): string {
  const isTiny = amount !== 0 && Math.abs(amount) < 0.5 / 10 ** digits;
  const options = isTiny ? { maximumSignificantDigits: 2 } : fixed(digits);
  return formatter(currency, options).format(amount);
}

/** Formats the ticks of an axis. @param max the largest value on the axis; below 10, ticks show cents. */
export const axisMoney = (amount: number, currency: string, max: number): string =>
  money(amount, currency, max < 10 ? 2 : 0);

/** Formats an amount for headlines: without cents from 100. */
export const roundMoney = (amount: number, currency: string): string =>
  money(amount, currency, Math.abs(amount) >= 100 ? 0 : 2);

const fixed = (digits: number) => ({ minimumFractionDigits: digits, maximumFractionDigits: digits });

const formatters = new Map<string, Intl.NumberFormat>();

/** Formatters are cached, because creating one takes longer than formatting a thousand numbers. */
function formatter(currency: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${currency} ${JSON.stringify(options)}`;
  const known = formatters.get(key);
  if (known !== undefined) return known;
  const isCurrency = /^[A-Z]{3}$/.test(currency);
  const made = new Intl.NumberFormat(LOCALE, isCurrency ? { style: 'currency', currency, ...options } : options);
  formatters.set(key, made);
  return made;
}

/** `1234.5` GiB → `1,234.5`. */
export const gib = (size: number): string => formatter('', { maximumFractionDigits: size >= 100 ? 0 : 1 }).format(size);

/** Formats a size for headlines: `51200` GiB → `50 TiB`. */
export const roundSize = (size: number): string => (size < 1024 ? `${gib(size)} GiB` : `${gib(size / 1024)} TiB`);

export const integer = (number: number): string => formatter('', { maximumFractionDigits: 0 }).format(number);

/** `12.34` → `12.3 %`. */
export const percent = (share: number): string =>
  `${formatter('', fixed(share > 0 && share < 9.95 ? 1 : 0)).format(share)}\u00a0%`;

/** `prices are old` → `Prices are old.` */
export const sentence = (text: string): string =>
  text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

/** `1 snapshot`, `2 snapshots`. */
export const counted = (number: number, one: string): string => `${integer(number)} ${one}${number === 1 ? '' : 's'}`;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `2026-11-05…` → `5 Nov 2026`, `2026-11` → `Nov 2026`; any other text is returned unchanged. */
export function day(instant: string): string {
  const [, year, month, date] = /^(\d{4})-(\d{2})(?:-(\d{2}))?/.exec(instant) ?? [];
  const name = MONTHS[Number(month) - 1];
  if (year === undefined || name === undefined) return instant;
  return date === undefined ? `${name} ${year}` : `${Number(date)} ${name} ${year}`;
}

const CLASSES: Record<string, string> = {
  STANDARD: 'S3 Standard',
  INTELLIGENT_TIERING: 'S3 Intelligent-Tiering',
  STANDARD_IA: 'S3 Standard-IA',
  ONEZONE_IA: 'S3 One Zone-IA',
  GLACIER_IR: 'S3 Glacier Instant',
  GLACIER: 'S3 Glacier Flexible',
  DEEP_ARCHIVE: 'S3 Deep Archive',
};

const storageClass = (name: string): string => CLASSES[name] ?? `S3 ${name}`;

/** The place where a choice keeps the data, which is also the filter value. */
function placeOf({ what, storageClass: name }: Pick<Choice, 'what' | 'storageClass'>): string {
  if (what === 'keep') return 'Keep';
  return what === 'ebs-archive' ? 'EBS archive tier' : storageClass(name ?? '');
}

type Named = Pick<Choice, 'what' | 'storageClass' | 'form' | 'scope'>;

/** `S3 Deep Archive, full, all but the latest`. */
export function choiceName(choice: Named): string {
  const parts = [
    placeOf(choice),
    choice.what === 's3' ? choice.form : null,
    choice.scope === 'all-but-latest' ? 'all but the latest' : null,
  ];
  return parts.filter((part) => part !== null).join(', ');
}

/** The name of an option of `compare`: that of its storage class if it is known. */
export function optionName({ id, name, form }: CompareOption): string {
  const place = id === 'ebs-archive' ? 'EBS archive tier' : (CLASSES[id.replace(/-incremental$/, '')] ?? name);
  return form === 'incremental' ? `${place}, incremental` : place;
}

export function adviceName({ choice, moved }: Pick<Advice, 'choice' | 'moved'>): string {
  if (choice === null) return 'No recommendation';
  return choice === 'several' ? `Move ${counted(moved, 'snapshot')}` : choiceName(choice);
}

/** The filter value of a recommendation. */
export function adviceGroup({ choice }: Pick<Advice, 'choice'>): string {
  if (choice === null) return 'No recommendation';
  return choice === 'several' ? 'Move some snapshots' : placeOf(choice);
}

const BOUNDS: Record<Certainty, string> = {
  exact: '',
  'upper-bound': 'at most ',
  'lower-bound': 'at least ',
  mixed: 'about ',
};

/** Formats a range for sentences: `at most $12.00`. */
export const bounded = (text: string, certainty: Certainty): string => `${BOUNDS[certainty]}${text}`;

const SIGNS: Record<Certainty, string> = {
  exact: '',
  'upper-bound': '≤\u00a0',
  'lower-bound': '≥\u00a0',
  mixed: '≈\u00a0',
};

/** Formats a range for columns: `≤ $12.00`. */
export const signed = (text: string, certainty: Certainty): string => `${SIGNS[certainty]}${text}`;
