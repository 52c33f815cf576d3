/** The list of volumes: its columns, its filters and its sort order. */
import type { PageVolume } from './page-data.ts';
import { adviceGroup, adviceName, day, gib, integer, money, percent, signed } from './words.ts';

export interface Column {
  key: string;
  title: string;
  isNumber: boolean;
  /** The sort value; `null` always comes last. */
  value(volume: PageVolume): string | number | null;
  text(volume: PageVolume): string;
}

const NONE = '–';

export const COLUMNS: readonly Column[] = [
  words('volume', 'Volume', ({ name, id }) => name ?? id),
  words('region', 'Region', ({ region }) => region),
  numbers(
    'snapshots',
    'Snapshots',
    ({ snapshots }) => snapshots.length,
    ({ snapshots }) => integer(snapshots.length),
  ),
  numbers(
    'gib',
    'GiB',
    (volume) => volume.gib,
    (volume) => gib(volume.gib),
  ),
  numbers(
    'change',
    'Change',
    ({ averageChange }) => averageChange,
    ({ averageChange }) => (averageChange === null ? NONE : percent(averageChange)),
  ),
  numbers(
    'cost',
    'Cost per month',
    ({ monthly }) => monthly,
    ({ monthly, currency }) => money(monthly, currency),
  ),
  words('choice', 'Best choice', ({ advice }) => adviceName(advice)),
  numbers(
    'saving',
    'Saving per month',
    ({ advice }) => (advice.moved > 0 ? advice.saving : 0),
    ({ advice, currency }) => (advice.moved > 0 ? signed(money(advice.saving, currency), advice.savingIs) : NONE),
  ),
  words(
    'break-even',
    'Pays off by',
    ({ advice }) => advice.breakEven,
    (text) => (text === null ? NONE : day(text)),
  ),
];

function words(
  key: string,
  title: string,
  value: (volume: PageVolume) => string | null,
  text = (found: string | null) => found ?? 'unknown',
): Column {
  return { key, title, isNumber: false, value, text: (volume) => text(value(volume)) };
}

function numbers(
  key: string,
  title: string,
  value: (volume: PageVolume) => number | null,
  text: (volume: PageVolume) => string,
): Column {
  return { key, title, isNumber: true, value, text };
}

export interface VolumeQuery {
  /** Words that must all occur in the name, ids or descriptions of the volume and its snapshots. */
  text: string;
  /** Empty for all. */
  region: string;
  /** Empty for all. */
  choice: string;
  sort: Sort;
}

export interface Sort {
  key: string;
  isDescending: boolean;
}

export function selectVolumes(
  volumes: readonly PageVolume[],
  { text, region, choice, sort }: VolumeQuery,
): PageVolume[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = volumes.filter(
    (volume) =>
      (region === '' || volume.region === region) &&
      (choice === '' || adviceGroup(volume.advice) === choice) &&
      words.every((word) => searchText(volume).includes(word)),
  );
  return sorted(chosen, sort);
}

function sorted(volumes: PageVolume[], { key, isDescending }: Sort): PageVolume[] {
  const column = COLUMNS.find((candidate) => candidate.key === key);
  if (column === undefined) return volumes;
  const keyed = volumes.map((volume) => ({ volume, value: column.value(volume) }));
  keyed.sort((a, b) => compareValues(a.value, b.value, isDescending));
  return keyed.map(({ volume }) => volume);
}

const order = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

function compareValues(a: string | number | null, b: string | number | null, isDescending: boolean): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const difference = typeof a === 'number' && typeof b === 'number' ? a - b : order.compare(String(a), String(b));
  return isDescending ? -difference : difference;
}

/** The search texts, which are created at the first search. */
const searchTexts = new WeakMap<PageVolume, string>();

function searchText(volume: PageVolume): string {
  const known = searchTexts.get(volume);
  if (known !== undefined) return known;
  const parts = [
    volume.id,
    volume.name,
    volume.region,
    ...volume.snapshots.flatMap(({ id, description }) => [id, description]),
  ];
  const text = parts
    .filter((part) => part !== null)
    .join('\n')
    .toLowerCase();
  searchTexts.set(volume, text);
  return text;
}
