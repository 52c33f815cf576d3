/** Lifecycle rules. Source: "Lifecycle configuration elements" of the S3 user guide. */
import { ServiceError } from '../../core/contract.ts';
import type { StoredObject } from '../store/model.ts';
import { parseXml } from '../xml.ts';

/** A rule, without transitions, which the lab does not apply. Numbers are days; `null` means no such action. */
export interface Rule {
  isEnabled: boolean;
  prefix: string;
  /** All of these tags are required. */
  tags: readonly [string, string][];
  /** In bytes, and exclusive. */
  largerThan: number;
  smallerThan: number;
  expireAfter: number | null;
  /** The ISO date from which on all objects are expired. */
  expireFrom: string | null;
  removesMarkers: boolean;
  expireVersionsAfter: number | null;
  /** The number of noncurrent versions that are kept. */
  keptVersions: number;
  abortAfter: number | null;
}

interface Tag {
  Key?: string;
  Value?: string;
}

interface Limits {
  Prefix?: string;
  Tag?: Tag[];
  ObjectSizeGreaterThan?: string;
  ObjectSizeLessThan?: string;
}

interface RuleDocument {
  ID?: string;
  Status?: string;
  Prefix?: string;
  Filter?: (Limits & { And?: Limits }) | '';
  Expiration?: { Days?: string; Date?: string; ExpiredObjectDeleteMarker?: string };
  NoncurrentVersionExpiration?: { NoncurrentDays?: string; NewerNoncurrentVersions?: string };
  AbortIncompleteMultipartUpload?: { DaysAfterInitiation?: string };
  Transition?: unknown;
  NoncurrentVersionTransition?: unknown;
}

const ACTIONS = [
  'Expiration',
  'NoncurrentVersionExpiration',
  'AbortIncompleteMultipartUpload',
  'Transition',
  'NoncurrentVersionTransition',
] as const;

const MAX_RULES = 1000;

/** @throws ServiceError `MalformedXML`, or `InvalidArgument` for values that S3 does not accept. */
export function rulesOf(document: string): Rule[] {
  const { Rule: rules = [] } = parseXml(Buffer.from(document), 'LifecycleConfiguration') as { Rule?: RuleDocument[] };
  if (rules.length === 0 || rules.length > MAX_RULES) throw malformed();
  const ids = rules.flatMap(({ ID }) => ID ?? []);
  if (new Set(ids).size < ids.length) {
    throw new ServiceError('InvalidArgument', 'Rule ID must be unique. Found same ID for more than one rule');
  }
  return rules.map(ruleOf);
}

function ruleOf(document: RuleDocument): Rule {
  const { Status, Expiration, NoncurrentVersionExpiration: old, AbortIncompleteMultipartUpload: abort } = document;
  const hasAction = ACTIONS.some((name) => document[name] !== undefined);
  const isLimited = document.Filter !== undefined || document.Prefix !== undefined;
  if ((Status !== 'Enabled' && Status !== 'Disabled') || !hasAction || !isLimited) throw malformed();
  return {
    isEnabled: Status === 'Enabled',
    ...limitsOf(document),
    expireAfter: daysOf(Expiration?.Days, "'Days' for Expiration action"),
    expireFrom: midnight(Expiration?.Date),
    removesMarkers: Expiration?.ExpiredObjectDeleteMarker === 'true',
    expireVersionsAfter: daysOf(old?.NoncurrentDays, "'NoncurrentDays' for NoncurrentVersionExpiration action"),
    keptVersions: Number(old?.NewerNoncurrentVersions ?? 0),
    abortAfter: daysOf(abort?.DaysAfterInitiation, "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action"),
  };
}

function limitsOf({ Prefix, Filter }: RuleDocument) {
  const filter = Filter === undefined || Filter === '' ? {} : { ...Filter, ...Filter.And };
  return {
    prefix: filter.Prefix ?? Prefix ?? '',
    tags: (filter.Tag ?? []).map(({ Key = '', Value = '' }): [string, string] => [Key, Value]),
    largerThan: Number(filter.ObjectSizeGreaterThan ?? -1),
    smallerThan: Number(filter.ObjectSizeLessThan ?? Number.POSITIVE_INFINITY),
  };
}

function daysOf(text: string | undefined, name: string): number | null {
  if (text === undefined) return null;
  const days = Number(text);
  if (Number.isInteger(days) && days > 0) return days;
  throw new ServiceError('InvalidArgument', `${name} must be a positive integer`);
}

function midnight(text: string | undefined): string | null {
  if (text === undefined) return null;
  const date = new Date(text);
  if (date.getTime() % DAY === 0) return date.toISOString();
  throw new ServiceError('InvalidArgument', "'Date' must be at midnight GMT");
}

const malformed = (): ServiceError =>
  new ServiceError(
    'MalformedXML',
    'The XML you provided was not well-formed or did not validate against our published schema',
  );

export const concerns = (rule: Rule, { key, tags, bytes }: Pick<StoredObject, 'key' | 'tags' | 'bytes'>): boolean =>
  key.startsWith(rule.prefix) &&
  rule.tags.every(([name, value]) => tags[name] === value) &&
  bytes > rule.largerThan &&
  bytes < rule.smallerThan;

const DAY = 86_400_000;

/** Whether the midnight after `days` days has passed. S3 rounds to the next midnight of UTC. */
export function isOver(since: string, days: number, now: Date): boolean {
  const end = Date.parse(since) + days * DAY;
  return now.getTime() >= Math.ceil(end / DAY) * DAY;
}
