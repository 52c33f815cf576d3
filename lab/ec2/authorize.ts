/**
 * The actions that a caller must be allowed to perform, by operation.
 * Source: "Actions, resources, and condition keys for Amazon EC2" of the service authorization reference. The ARN of a
 * snapshot has no account. To create resources with tags, ec2:CreateTags is needed, too.
 */
import type { Authorization, LabContext } from '../core/contract.ts';
import type { Ec2State } from './state.ts';

interface Input {
  VolumeId?: string;
  SnapshotId?: string;
  SourceSnapshotId?: string;
  InstanceId?: string;
  Resources?: string[];
  Tags?: { Key?: string; Value?: string }[];
  TagSpecifications?: { ResourceType?: string; Tags?: { Key?: string; Value?: string }[] }[];
}

type Context = Record<string, string[]>;

export function authorizationsOf(operation: string, input: Input, state: Ec2State, lab: LabContext): Authorization[] {
  const action = `ec2:${operation}`;
  if (operation.startsWith('Describe')) return [{ action, resources: ['*'] }];
  const tags = (input.TagSpecifications ?? []).flatMap(({ Tags = [] }) => Tags);
  const requested = requestTags(operation === 'CreateTags' || operation === 'DeleteTags' ? (input.Tags ?? []) : tags);
  const wanted = resourcesOf(operation, input, lab).map(
    (arn): Authorization => ({
      action,
      resources: [arn],
      context: { ...requested, ...resourceTags(arn, state) },
    }),
  );
  if (tags.length === 0) return wanted;
  const kind = operation === 'CreateVolume' ? 'volume' : 'snapshot';
  const onNew = {
    action: 'ec2:CreateTags',
    resources: [arnOf(lab, kind, '*')],
    context: { ...requested, 'ec2:CreateAction': [operation] },
  };
  return [...wanted, onNew];
}

function resourcesOf(operation: string, input: Input, lab: LabContext): string[] {
  if (operation === 'CreateTags' || operation === 'DeleteTags') {
    return (input.Resources ?? []).map((id) => arnOf(lab, id.startsWith('vol-') ? 'volume' : 'snapshot', id));
  }
  const arns: string[] = [];
  if (operation === 'CreateVolume') arns.push(arnOf(lab, 'volume', '*'));
  if (operation === 'CreateSnapshot' || operation === 'CopySnapshot') arns.push(arnOf(lab, 'snapshot', '*'));
  if (input.VolumeId) arns.push(arnOf(lab, 'volume', input.VolumeId));
  if (input.SourceSnapshotId) arns.push(arnOf(lab, 'snapshot', input.SourceSnapshotId));
  if (input.SnapshotId) arns.push(arnOf(lab, 'snapshot', input.SnapshotId));
  if (operation === 'AttachVolume' || operation === 'DetachVolume') {
    arns.push(arnOf(lab, 'instance', input.InstanceId ?? lab.instance.instanceId));
  }
  return arns;
}

const arnOf = (lab: LabContext, kind: string, id: string): string =>
  `arn:aws:ec2:${lab.region}:${kind === 'snapshot' ? '' : lab.accountId}:${kind}/${id}`;

function requestTags(tags: readonly { Key?: string; Value?: string }[]): Context {
  if (tags.length === 0) return {};
  const context: Context = { 'aws:TagKeys': tags.map(({ Key = '' }) => Key) };
  for (const { Key, Value = '' } of tags) context[`aws:RequestTag/${Key}`] = [Value];
  return context;
}

function resourceTags(arn: string, state: Ec2State): Context {
  const id = arn.slice(arn.lastIndexOf('/') + 1);
  const context: Context = {};
  for (const [key, value] of Object.entries((state.volumes.get(id) ?? state.snapshots.get(id))?.tags ?? {})) {
    context[`ec2:ResourceTag/${key}`] = [value];
    context[`aws:ResourceTag/${key}`] = [value];
  }
  return context;
}
