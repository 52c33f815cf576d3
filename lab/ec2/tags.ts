/** Tags of snapshots and volumes, within the limits of EC2. */
import { type LabContext, ServiceError } from '../core/contract.ts';
import { checkFilters, type Filter, filtered, type Paging, page, tagValues } from './describe.ts';
import type { Ec2State } from './state.ts';

export interface Tag {
  Key?: string;
  Value?: string;
}

export const toTagSet = (tags: Record<string, string>): { Key: string; Value: string }[] =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

/** EC2 allows 50 tags besides AWS's own (`aws:...`), keys of 127 characters (128 with the end), and values of 256. */
function withTags(present: Record<string, string>, added: readonly Tag[]): Record<string, string> {
  const tags = { ...present };
  for (const { Key = '', Value = '' } of added) {
    if (Key === '' || Key.length > 128)
      throw new ServiceError('InvalidParameterValue', `Tag key exceeds the maximum length of 128 characters`);
    if (Value.length > 256)
      throw new ServiceError('InvalidParameterValue', 'Tag value exceeds the maximum length of 256 characters');
    if (/^aws:/i.test(Key))
      throw new ServiceError('InvalidParameterValue', "Tag keys starting with 'aws:' are reserved for internal use");
    tags[Key] = Value;
  }
  if (Object.keys(tags).filter((key) => !key.startsWith('aws:')).length > 50)
    throw new ServiceError('TagLimitExceeded', 'The maximum number of Tags for a resource has been reached');
  return tags;
}

/** Returns the tags in a creation call for one kind of resource. */
export function creationTags(
  specifications: readonly { ResourceType?: string; Tags?: Tag[] }[] | undefined,
  kind: string,
): Record<string, string> {
  const added = (specifications ?? []).flatMap(({ ResourceType, Tags = [] }) => {
    if (ResourceType !== kind)
      throw new ServiceError(
        'InvalidParameterValue',
        `'${ResourceType}' is not a valid taggable resource type for this operation.`,
      );
    return Tags;
  });
  return withTags({}, added);
}

/** Returns the resource with this id. */
function taggable(state: Ec2State, id: string): { tags: Record<string, string> } {
  const snapshot = state.snapshots.get(id);
  if (snapshot) return snapshot;
  const volume = state.volumes.get(id);
  if (volume && volume.deletedAt === null) return volume;
  const kind = id.startsWith('vol-') ? 'InvalidVolume' : 'InvalidSnapshot';
  if (!/^(vol|snap)-/.test(id)) throw new ServiceError('InvalidID', `The ID '${id}' is not valid`);
  throw new ServiceError(`${kind}.NotFound`, `The resource '${id}' does not exist.`);
}

export function createTags(state: Ec2State, input: { Resources?: string[]; Tags?: Tag[] }): object {
  const resources = (input.Resources ?? []).map((id) => taggable(state, id));
  const changed = resources.map((resource) => withTags(resource.tags, input.Tags ?? []));
  for (const [index, resource] of resources.entries()) resource.tags = changed[index] ?? {};
  state.save();
  return {};
}

/** Without tags, removes all; with a value, removes the tag only if it has this value. */
export function deleteTags(state: Ec2State, input: { Resources?: string[]; Tags?: Tag[] }): object {
  for (const resource of (input.Resources ?? []).map((id) => taggable(state, id))) {
    if (!input.Tags || input.Tags.length === 0) resource.tags = {};
    for (const { Key = '', Value } of input.Tags ?? []) {
      if (Value === undefined || Value === resource.tags[Key]) delete resource.tags[Key];
    }
  }
  state.save();
  return {};
}

interface DescribeInput extends Paging {
  Filters?: Filter[];
}

interface Described {
  ResourceId: string;
  ResourceType: string;
  Key: string;
  Value: string;
}

const FILTERS = new Set(['key', 'resource-id', 'resource-type', 'value', 'tag-key']);

export function describeTags(state: Ec2State, context: LabContext, input: DescribeInput): object {
  checkFilters(input.Filters, (name) => FILTERS.has(name) || name.startsWith('tag:'));
  const all = [
    ...[...state.snapshots.values()].flatMap(({ id, tags }) => describedTags(id, 'snapshot', tags)),
    ...[...state.volumes.values()]
      .filter(({ deletedAt }) => deletedAt === null)
      .flatMap(({ id, tags }) => describedTags(id, 'volume', tags)),
  ];
  const { items, ...more } = page(filtered(all, input.Filters, filterValues), input, context.pageSize);
  return { Tags: items, ...more };
}

const describedTags = (id: string, kind: string, tags: Record<string, string>): Described[] =>
  Object.entries(tags).map(([Key, Value]) => ({ ResourceId: id, ResourceType: kind, Key, Value }));

const filterValues = (tag: Described, name: string): string[] | undefined =>
  ({
    key: [tag.Key],
    'tag-key': [tag.Key],
    value: [tag.Value],
    'resource-id': [tag.ResourceId],
    'resource-type': [tag.ResourceType],
  })[name] ?? tagValues({ [tag.Key]: tag.Value }, name);
