/** The regions, zones, instances and instance types that EC2 reports. */
import { type LabContext, ServiceError } from '../core/contract.ts';
import { checkInstance } from './attachments.ts';
import type { Ec2State } from './state.ts';
import { attachmentState } from './volumes.ts';

const ROOT_DEVICE = '/dev/sda1';

export const describeRegions = (context: LabContext): object => ({
  Regions: [
    { RegionName: context.region, Endpoint: `ec2.${context.region}.amazonaws.com`, OptInStatus: 'opt-in-not-required' },
  ],
});

export const describeAvailabilityZones = (context: LabContext): object => ({
  AvailabilityZones: ['a', 'b', 'c'].map((letter) => ({
    ZoneName: `${context.region}${letter}`,
    RegionName: context.region,
    State: 'available',
    ZoneType: 'availability-zone',
  })),
});

const mappings = (state: Ec2State, context: LabContext): object[] => [
  {
    DeviceName: ROOT_DEVICE,
    Ebs: { VolumeId: 'vol-00000000000000000', Status: 'attached', DeleteOnTermination: true },
  },
  ...[...state.volumes.values()].flatMap(({ id, attachment }) =>
    attachment
      ? [
          {
            DeviceName: attachment.device,
            Ebs: { VolumeId: id, Status: attachmentState(attachment, context), DeleteOnTermination: false },
          },
        ]
      : [],
  ),
];

export function describeInstances(state: Ec2State, context: LabContext, input: { InstanceIds?: string[] }): object {
  for (const id of input.InstanceIds ?? []) checkInstance(context, id);
  const { instanceId, instanceType, availabilityZone } = context.instance;
  const instance = {
    InstanceId: instanceId,
    InstanceType: instanceType,
    State: { Code: 16, Name: 'running' },
    Placement: { AvailabilityZone: availabilityZone },
    RootDeviceName: ROOT_DEVICE,
    BlockDeviceMappings: mappings(state, context),
  };
  return {
    Reservations: [{ ReservationId: 'r-00000000000000000', OwnerId: context.accountId, Instances: [instance] }],
  };
}

export function describeInstanceAttribute(
  state: Ec2State,
  context: LabContext,
  input: { InstanceId?: string; Attribute?: string },
): object {
  checkInstance(context, input.InstanceId);
  const InstanceId = context.instance.instanceId;
  if (input.Attribute === 'blockDeviceMapping') return { InstanceId, BlockDeviceMappings: mappings(state, context) };
  if (input.Attribute === 'productCodes') return { InstanceId, ProductCodes: [] };
  if (input.Attribute === 'instanceType') return { InstanceId, InstanceType: { Value: context.instance.instanceType } };
  throw new ServiceError('InvalidParameterValue', `Value (${input.Attribute}) for parameter attribute is invalid.`);
}

/** Network interfaces share the 28 slots. Source: "Amazon EBS volume limits" of the EC2 user guide. */
export const describeInstanceTypes = (context: LabContext, input: { InstanceTypes?: string[] }): object => ({
  InstanceTypes: (input.InstanceTypes ?? [context.instance.instanceType]).map((InstanceType) => ({
    InstanceType,
    Hypervisor: 'nitro',
    EbsInfo: {
      EbsOptimizedSupport: 'default',
      EncryptionSupport: 'supported',
      NvmeSupport: 'required',
      MaximumEbsAttachments: 28,
      AttachmentLimitType: 'shared',
    },
  })),
});
