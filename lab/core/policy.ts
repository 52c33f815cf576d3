/**
 * Evaluates IAM identity policies. An explicit deny wins; otherwise, an allow is required.
 * Source: "Policy evaluation logic" and "IAM JSON policy elements" of the IAM user guide.
 */
import type { Authorization } from './contract.ts';

export interface Policy {
  Version?: string;
  Statement: Statement | Statement[];
}

type OneOrMany = string | string[];

interface Statement {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Action?: OneOrMany;
  NotAction?: OneOrMany;
  Resource?: OneOrMany;
  Condition?: Record<string, Record<string, OneOrMany>>;
}

export function isAllowed(policy: Policy, wanted: Authorization): boolean {
  const resources = wanted.resources.length === 0 ? ['*'] : wanted.resources;
  return resources.every((resource) => {
    const meeting = many(policy.Statement).filter((statement) => meets(statement, wanted, resource));
    return meeting.length > 0 && meeting.every(({ Effect }) => Effect === 'Allow');
  });
}

function meets(statement: Statement, wanted: Authorization, resource: string): boolean {
  const action = statement.NotAction
    ? !many(statement.NotAction).some((pattern) => isLike(wanted.action, pattern, 'i'))
    : many(statement.Action ?? []).some((pattern) => isLike(wanted.action, pattern, 'i'));
  return (
    action &&
    many(statement.Resource ?? '*').some((pattern) => isLike(resource, pattern)) &&
    Object.entries(statement.Condition ?? {}).every(([operator, keys]) => holds(operator, keys, wanted.context ?? {}))
  );
}

type Context = NonNullable<Authorization['context']>;

function holds(operator: string, keys: Record<string, OneOrMany>, context: Context): boolean {
  return Object.entries(keys).every(([key, patterns]) => {
    const values = context[key];
    const test = TESTS[operator.replace(/IfExists$/, '')];
    if (!test) throw new Error(`the lab does not know the condition operator ${operator}`);
    if (operator.endsWith('IfExists') && values === undefined) return true;
    return test(values, many(patterns));
  });
}

type Test = (values: readonly string[] | undefined, patterns: readonly string[]) => boolean;

const equals = (value: string, patterns: readonly string[]): boolean => patterns.includes(value);
const like = (value: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) => isLike(value, pattern));

const TESTS: Record<string, Test> = {
  StringEquals: (values, patterns) => values?.some((value) => equals(value, patterns)) === true,
  StringNotEquals: (values, patterns) => values?.some((value) => equals(value, patterns)) !== true,
  StringLike: (values, patterns) => values?.some((value) => like(value, patterns)) === true,
  ArnLike: (values, patterns) => values?.some((value) => like(value, patterns)) === true,
  Bool: (values, patterns) => values?.some((value) => equals(value, patterns)) === true,
  Null: (values, patterns) => patterns.includes(String(values === undefined)),
  'ForAllValues:StringEquals': (values, patterns) => (values ?? []).every((value) => equals(value, patterns)),
};

const many = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);

function isLike(text: string, pattern: string, flags = ''): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^]*')
    .replaceAll('?', '[^]');
  return new RegExp(`^${source}$`, flags).test(text);
}
