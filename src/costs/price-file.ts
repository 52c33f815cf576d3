/**
 * A file of negotiated prices, which replace the built-in ones. docs/costs/prices.md describes its schema. Unknown members are
 * refused, because the list price would otherwise silently replace a misspelled one.
 */
import { SnapError } from '../errors.ts';
import { REGION_PATTERN } from '../lib/aws-names.ts';
import { parseInstant } from '../lib/instant.ts';
import { BUILT_IN } from './built-in-prices.ts';
import { overridden, type RegionOverrides } from './overrides.ts';
import type { Prices, RegionPrices } from './price-types.ts';
import { pricesIn } from './prices.ts';

/** The key of prices for all regions, which the prices of a named region override. */
const EVERYWHERE = '*';

/**
 * @param text the content of the file.
 * @param name the name of the file, for messages.
 * @throws SnapError `USAGE` with the path of the invalid member, e.g. `regions.us-east-1.s3.GLACIER.gbMonth`.
 */
export function pricesFromFile(text: string, name: string, base: Prices = BUILT_IN): Prices {
  const file = readObject(parse(text, name), name, '', { asOf: isDay, note: isText, regions: isObject });
  const regions = (file['regions'] ?? {}) as Record<string, unknown>;
  for (const [region, overrides] of Object.entries(regions)) checkRegion(overrides, region, name);
  const given = regions as Record<string, RegionOverrides>;
  return {
    source: 'file',
    asOf: (file['asOf'] as string | undefined) ?? base.asOf,
    note: (file['note'] as string | undefined) ?? `${name}; other prices: ${base.note}`,
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
    throw new SnapError('USAGE', `${name} is not valid JSON: ${(cause as Error).message}`, { cause, hint: HINT });
  }
}

const HINT = 'docs/costs/prices.md describes the format of the file';

type Check = (value: unknown, path: string, file: string) => void;

const usageError = (file: string, path: string, expected: string): SnapError =>
  new SnapError('USAGE', `${file}: ${path || 'the content'} must be ${expected}`, { hint: HINT });

const isPrice: Check = (value, path, file) => {
  if (typeof value !== 'number' || !(value >= 0))
    throw usageError(file, path, 'a price, that is, a number of at least 0');
};

const isText: Check = (value, path, file) => {
  if (typeof value !== 'string') throw usageError(file, path, 'a string');
};

const isDay: Check = (value, path, file) => {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(String(value)) || Number.isNaN(parseInstant(String(value))))
    throw usageError(file, path, 'a date such as 2026-01-31');
};

const isObject: Check = (value, path, file) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw usageError(file, path, 'an object');
};

/** @param known the checks of the permitted members. @throws SnapError `USAGE` for an unknown or invalid member. */
function readObject(value: unknown, file: string, path: string, known: Record<string, Check>): Record<string, unknown> {
  isObject(value, path, file);
  for (const [key, member] of Object.entries(value as object)) {
    const at = path === '' ? key : `${path}.${key}`;
    const check = Object.hasOwn(known, key) ? known[key] : undefined;
    if (!check) {
      const names = Object.keys(known).join(', ');
      throw new SnapError('USAGE', `${file}: unknown member ${at}; allowed: ${names}`, { hint: HINT });
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

const REGION_CHECKS: Record<string, Check> = {
  snapshot: objectOf(prices(Object.keys(REFERENCE.snapshot))),
  direct: objectOf(prices(Object.keys(REFERENCE.direct))),
  volumes: objectOf(prices(Object.keys(REFERENCE.volumes))),
  s3: objectOf(Object.fromEntries(Object.keys(REFERENCE.s3).map((name) => [name, storageClass]))),
};

function checkRegion(overrides: unknown, region: string, file: string): void {
  if (region !== EVERYWHERE && !REGION_PATTERN.test(region)) {
    throw new SnapError('USAGE', `${file}: regions.${region} is neither a region name nor "*" for all regions`, {
      hint: HINT,
    });
  }
  readObject(overrides, file, `regions.${region}`, REGION_CHECKS);
}
