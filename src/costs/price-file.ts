/**
 * A file of negotiated prices, laid over the table of the program. docs/costs/prices.md has its schema; what is not in it is
 * refused, since a price that is misspelt would otherwise be the list price in silence.
 */
import { SnapError } from '../errors.ts';
import { REGION_PATTERN } from '../lib/aws-names.ts';
import { parseInstant } from '../lib/instant.ts';
import { BUILT_IN } from './built-in-prices.ts';
import { overridden, type RegionOverrides } from './overrides.ts';
import type { Prices, RegionPrices } from './price-types.ts';
import { pricesIn } from './prices.ts';

/** Applies to all regions, before those that are named. */
const EVERYWHERE = '*';

/**
 * @param text the content of the file.
 * @param name of the file, for errors.
 * @throws SnapError `USAGE` that names what is wrong, e.g. `regions.us-east-1.s3.GLACIER.gbMonth`.
 */
export function pricesFromFile(text: string, name: string, base: Prices = BUILT_IN): Prices {
  const file = readObject(parse(text, name), name, '', { asOf: isDay, note: isText, regions: isObject });
  const regions = (file['regions'] ?? {}) as Record<string, unknown>;
  for (const [region, overrides] of Object.entries(regions)) checkRegion(overrides, region, name);
  const given = regions as Record<string, RegionOverrides>;
  return {
    source: 'file',
    asOf: (file['asOf'] as string | undefined) ?? base.asOf,
    note: (file['note'] as string | undefined) ?? `${name} over ${base.note}`,
    regions: withOverrides(given, base),
  };
}

function withOverrides(given: Record<string, RegionOverrides>, base: Prices): Record<string, RegionPrices> {
  const names = new Set([...Object.keys(base.regions), ...Object.keys(given)]);
  names.delete(EVERYWHERE);
  return Object.fromEntries(
    [...names].map((region) => {
      const everywhere = overridden(pricesIn(region, base), given[EVERYWHERE] ?? {}, 'file');
      return [region, overridden(everywhere, given[region] ?? {}, 'file')];
    }),
  );
}

function parse(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SnapError('USAGE', `${name} is not JSON: ${(cause as Error).message}`, { cause, hint: HINT });
  }
}

const HINT = 'docs/costs/prices.md describes the file';

type Check = (value: unknown, path: string, file: string) => void;

const refuse = (file: string, path: string, expected: string): SnapError =>
  new SnapError('USAGE', `${file}: ${path || 'the whole'} must be ${expected}`, { hint: HINT });

const isPrice: Check = (value, path, file) => {
  if (typeof value !== 'number' || !(value >= 0)) throw refuse(file, path, 'a price: a number, 0 or more');
};

const isText: Check = (value, path, file) => {
  if (typeof value !== 'string') throw refuse(file, path, 'a text');
};

const isDay: Check = (value, path, file) => {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(String(value)) || Number.isNaN(parseInstant(String(value))))
    throw refuse(file, path, 'a day such as 2026-01-31');
};

const isObject: Check = (value, path, file) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(file, path, 'an object');
};

/** @param known what each member must be. @throws SnapError for members that are not known. */
function readObject(value: unknown, file: string, path: string, known: Record<string, Check>): Record<string, unknown> {
  isObject(value, path, file);
  for (const [key, member] of Object.entries(value as object)) {
    const at = path === '' ? key : `${path}.${key}`;
    const check = Object.hasOwn(known, key) ? known[key] : undefined;
    if (!check) {
      const names = Object.keys(known).join(', ');
      throw new SnapError('USAGE', `${file}: ${at} is not known, only ${names}`, { hint: HINT });
    }
    check(member, at, file);
  }
  return value as Record<string, unknown>;
}

const objectOf =
  (known: Record<string, Check>): Check =>
  (value, path, file) =>
    void readObject(value, file, path, known);

const prices = (names: readonly string[]): Record<string, Check> =>
  Object.fromEntries(names.map((name) => [name, isPrice]));

const tier = objectOf(prices(['gb', 'thousandRequests']));

const storageClass = objectOf({
  ...prices(['gbMonth', 'thousandPuts', 'thousandGets', 'readGb']),
  retrieval: objectOf({ Bulk: tier, Standard: tier, Expedited: tier }),
});

const REFERENCE = pricesIn('us-east-1', BUILT_IN);

const OF_A_REGION: Record<string, Check> = {
  snapshot: objectOf(prices(Object.keys(REFERENCE.snapshot))),
  direct: objectOf(prices(Object.keys(REFERENCE.direct))),
  volumes: objectOf(prices(Object.keys(REFERENCE.volumes))),
  s3: objectOf(Object.fromEntries(Object.keys(REFERENCE.s3).map((name) => [name, storageClass]))),
};

function checkRegion(overrides: unknown, region: string, file: string): void {
  if (region !== EVERYWHERE && !REGION_PATTERN.test(region)) {
    throw new SnapError('USAGE', `${file}: regions.${region} is no region, nor "*" for all`, { hint: HINT });
  }
  readObject(overrides, file, `regions.${region}`, OF_A_REGION);
}
