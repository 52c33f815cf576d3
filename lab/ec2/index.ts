/** The EC2 operations for snapshots and volumes (query protocol). BEHAVIOUR.md has the source of each behaviour. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { StaticOperationSchema } from '@smithy/types';
import {
  ConnectionGone,
  type LabContext,
  type Leftover,
  type Service,
  ServiceError,
  type SignedRequest,
} from '../core/contract.ts';
import { readBody } from '../core/http.ts';
import { sha256 } from '../core/sigv4.ts';
import type { SnapshotShelf } from '../ebs/contract.ts';
import {
  attachVolume,
  detachVolume,
  deviceLeftovers,
  recoverDevices,
  settleDevices,
  unplugAll,
} from './attachments.ts';
import { authorizationsOf } from './authorize.ts';
import { decodeInput, encodeError, encodeOutput } from './codec.ts';
import { copySnapshot } from './copy-snapshot.ts';
import { plugSnapshot, unplugVolume } from './hand.ts';
import { describeImages, type ImageFixture, registerImage } from './images.ts';
import { createVolume } from './new-volumes.ts';
import {
  createSnapshot,
  deleteSnapshot,
  describeSnapshots,
  registerSnapshot,
  type SnapshotFixture,
} from './snapshots.ts';
import { Ec2State } from './state.ts';
import {
  describeAvailabilityZones,
  describeInstanceAttribute,
  describeInstances,
  describeInstanceTypes,
  describeRegions,
} from './static.ts';
import { createTags, deleteTags, describeTags } from './tags.ts';
import { deleteVolume, describeVolumes } from './volumes.ts';

export interface Ec2Service extends Service, SnapshotShelf {
  registerSnapshot(fixture: SnapshotFixture): Promise<{ snapshotId: string; volumeId: string }>;
  registerImage(fixture: ImageFixture): { imageId: string };
  plugSnapshot(snapshotId: string): Promise<{ volumeId: string; device: string }>;
  unplugVolume(volumeId: string): Promise<void>;
}

/** Inputs are decoded by the schemas. Each handler knows the type of its input. */
type Input = Record<string, unknown>;
type Handler = (input: never, behaviours: Map<string, string>, region: string) => object | Promise<object>;

export async function createEc2Service(context: LabContext): Promise<Ec2Service> {
  const schemas = (await import('@aws-sdk/client-ec2')) as unknown as Record<string, StaticOperationSchema>;
  const state = new Ec2State(join(context.directory, 'ec2'));
  await recoverDevices(state, context);
  const handlers = handlersOf(state, context);
  const oneAtATime = sequence();

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<string> => {
    const body = await readBody(request);
    const form = new URLSearchParams(body.toString());
    const operation = form.get('Action') ?? '';
    const signed = context.authenticate('ec2', request, sha256(body));
    const schema = schemas[`${operation}$`];
    const handler = handlers[operation];
    if (!schema || !handler)
      throw new ServiceError('InvalidAction', `The action ${operation} is not valid for this web service.`);
    const input = decodeInput(schema, form);
    const { behaviours } = await context.admit(
      { service: 'ec2', operation, details: flatten(input) },
      request,
      response,
    );
    authorize(context, signed, operation, input, state);
    return oneAtATime(async () => {
      await settleDevices(state, context);
      return encodeOutput(schema, await handler(input as never, behaviours, regionOf(signed)), randomUUID());
    });
  };

  return {
    name: 'ec2',
    handle: (request, response) =>
      respond(response, async () => {
        try {
          return await answer(request, response);
        } catch (error) {
          context.failed('ec2', request, error);
          throw error;
        }
      }),
    registerSnapshot: async (fixture) => {
      const { id, volumeId } = await oneAtATime(() => registerSnapshot(state, context, fixture));
      return { snapshotId: id, volumeId };
    },
    registerImage: (fixture) => ({ imageId: registerImage(state, context, fixture).id }),
    snapshot: (id) => state.snapshots.get(id),
    image: (id) => state.snapshotImage(id),
    keep: (snapshot) => {
      state.snapshots.set(snapshot.id, snapshot);
      state.save();
    },
    plugSnapshot: (snapshotId) => oneAtATime(() => plugSnapshot(state, context, snapshotId)),
    unplugVolume: (volumeId) => oneAtATime(() => unplugVolume(state, context, volumeId)),
    leftovers: () => oneAtATime(() => leftoversOf(state, context)),
    close: () => oneAtATime(() => unplugAll(state, context)),
  };
}

/** One endpoint serves all regions. The signature contains the region. */
const regionOf = ({ scope }: SignedRequest): string => scope.split('/')[1] ?? '';

const handlersOf = (state: Ec2State, context: LabContext): Record<string, Handler> => ({
  DescribeSnapshots: (input, _behaviours, region) => describeSnapshots(state, context, input, region),
  CreateSnapshot: (input) => createSnapshot(state, context, input),
  CopySnapshot: (input, _behaviours, region) => copySnapshot(state, context, input, region),
  DeleteSnapshot: (input) => deleteSnapshot(state, input),
  CreateVolume: (input, behaviours, region) => createVolume(state, context, input, behaviours, region),
  DescribeVolumes: (input, _behaviours, region) => describeVolumes(state, context, input, region),
  DescribeImages: (input, _behaviours, region) => describeImages(state, context, input, region),
  DeleteVolume: (input) => deleteVolume(state, context, input),
  AttachVolume: (input, behaviours) => attachVolume(state, context, input, behaviours),
  DetachVolume: (input, behaviours) => detachVolume(state, context, input, behaviours),
  CreateTags: (input) => createTags(state, input),
  DeleteTags: (input) => deleteTags(state, input),
  DescribeTags: (input) => describeTags(state, context, input),
  DescribeRegions: () => describeRegions(context),
  DescribeAvailabilityZones: () => describeAvailabilityZones(context),
  DescribeInstances: (input) => describeInstances(state, context, input),
  DescribeInstanceAttribute: (input) => describeInstanceAttribute(state, context, input),
  DescribeInstanceTypes: (input) => describeInstanceTypes(context, input),
});

/** Runs work sequentially, because images and devices do not support concurrent changes. */
function sequence(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
}

/** The strings of the input, which faults can match. */
const flatten = (input: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(input).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  );

/** A dry run always responds with an error. Source: "DryRun" of the EC2 API reference. */
function authorize(context: LabContext, signed: SignedRequest, operation: string, input: Input, state: Ec2State): void {
  for (const wanted of authorizationsOf(operation, input as object, state, context)) {
    if (context.allowed(signed.caller, wanted)) continue;
    throw new ServiceError(
      'UnauthorizedOperation',
      `You are not authorized to perform this operation. User: ${signed.caller.arn} is not authorized to perform: ${wanted.action} on resource: ${wanted.resources[0]} because no identity-based policy allows the ${wanted.action} action.`,
      403,
    );
  }
  if (input['DryRun'])
    throw new ServiceError('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412);
}

async function respond(response: ServerResponse, answer: () => Promise<string>): Promise<void> {
  const send = (status: number, document: string) => {
    response.writeHead(status, { 'content-type': 'text/xml;charset=UTF-8' }).end(document);
  };
  try {
    send(200, await answer());
  } catch (error) {
    if (error instanceof ConnectionGone) return;
    if (error instanceof ServiceError) send(error.status, encodeError(error.code, error.message, randomUUID()));
    else send(500, encodeError('InternalError', String(error), randomUUID()));
  }
}

async function leftoversOf(state: Ec2State, context: LabContext): Promise<Leftover[]> {
  await settleDevices(state, context);
  const volumes = [...state.volumes.values()].filter(({ deletedAt }) => deletedAt === null);
  return [
    ...volumes.map(({ id, snapshotId }): Leftover => ({ kind: 'volume', id, detail: `of ${snapshotId}` })),
    ...volumes.flatMap(({ id, attachment }): Leftover[] =>
      attachment ? [{ kind: 'attachment', id, detail: attachment.device }] : [],
    ),
    ...deviceLeftovers(state),
  ];
}
