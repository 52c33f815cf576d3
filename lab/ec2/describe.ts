/** Filters with wildcards, and paging, for all Describe operations. */
import { ServiceError } from '../core/contract.ts';

export interface Filter {
  Name?: string;
  Values?: string[];
}

/** Returns the values that the filter with this name may match, or `undefined` if the operation lacks the filter. */
export type FilterValues<T> = (item: T, name: string) => readonly string[] | undefined;

/** Keeps the items that match every filter. One matching value is enough for a filter. */
export function filtered<T>(
  items: readonly T[],
  filters: readonly Filter[] | undefined,
  valuesOf: FilterValues<T>,
): T[] {
  const tests = (filters ?? []).map(({ Name = '', Values = [] }) => ({ name: Name, isLike: likeOneOf(Values) }));
  return items.filter((item) =>
    tests.every(({ name, isLike }) => {
      const values = valuesOf(item, name);
      if (!values) throw new ServiceError('InvalidParameterValue', `The filter '${name}' is invalid`);
      return values.some(isLike);
    }),
  );
}

/** Refuses an unknown filter even if there is nothing to filter. */
export function checkFilters(filters: readonly Filter[] | undefined, known: (name: string) => boolean): void {
  for (const { Name = '' } of filters ?? []) {
    if (!known(Name)) throw new ServiceError('InvalidParameterValue', `The filter '${Name}' is invalid`);
  }
}

export const tagValues = (tags: Record<string, string>, name: string): string[] | undefined => {
  if (name === 'tag-key') return Object.keys(tags);
  if (!name.startsWith('tag:')) return undefined;
  const value = tags[name.slice('tag:'.length)];
  return value === undefined ? [] : [value];
};

/** Patterns without wildcards are looked up: a filter may have 200 of them, and a lab many thousand resources. */
function likeOneOf(patterns: readonly string[]): (value: string) => boolean {
  const [plain = [], others = []] = [true, false].map((isPlain) =>
    patterns.filter((pattern) => /[*?\\]/.test(pattern) !== isPlain),
  );
  const exact = new Set(plain);
  const expressions = others.map(expressionOf);
  return (value) => exact.has(value) || expressions.some((expression) => expression.test(value));
}

/** `*` and `?` are wildcards, unless a backslash precedes them. */
function expressionOf(pattern: string): RegExp {
  const source = pattern.replace(/\\([*?\\])|[.+^${}()|[\]\\*?]/g, (found, escaped: string | undefined) => {
    if (escaped !== undefined) return `\\${escaped}`;
    if (found === '*') return '[^]*';
    return found === '?' ? '[^]' : `\\${found}`;
  });
  return new RegExp(`^${source}$`);
}

export interface Paging {
  MaxResults?: number;
  NextToken?: string;
}

/** @param cap the maximum page size of the lab, which tests reduce to test paging. */
export function page<T>(
  items: readonly T[],
  paging: Paging,
  cap: number | undefined,
): { items: T[]; NextToken?: string } {
  const start = paging.NextToken === undefined ? 0 : readToken(paging.NextToken);
  const wanted = paging.MaxResults ?? cap ?? items.length;
  const end = start + Math.min(wanted, cap ?? wanted);
  const more = end < items.length ? { NextToken: Buffer.from(`from:${end}`).toString('base64') } : {};
  return { items: items.slice(start, end), ...more };
}

function readToken(token: string): number {
  const found = /^from:(\d+)$/.exec(Buffer.from(token, 'base64').toString());
  if (!found) throw new ServiceError('InvalidParameterValue', `Unable to parse pagination token '${token}'`);
  return Number(found[1]);
}

export function assertIdsWithoutPages(ids: readonly string[] | undefined, paging: Paging, name: string): void {
  if (ids && ids.length > 0 && paging.MaxResults !== undefined) {
    throw new ServiceError(
      'InvalidParameterCombination',
      `The parameter ${name} cannot be used with the parameter maxResults`,
    );
  }
}
