/** The control API of a running lab: adds disks and buckets, scripts faults, and returns the call log. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from '../core/context.ts';
import type { Delays, FaultSpec, Leftover, Service } from '../core/contract.ts';
import { readBody } from '../core/http.ts';
import type { Policy } from '../core/policy.ts';
import type { ImageFixture } from '../ec2/images.ts';
import type { Ec2Service } from '../ec2/index.ts';
import type { SnapshotFixture } from '../ec2/snapshots.ts';
import type { ImdsSettings } from '../imds/index.ts';
import type { S3Service } from '../s3/index.ts';
import type { LifecycleAction } from '../s3/lifecycle/apply.ts';

export interface Controlled {
  context: Context;
  ec2: Ec2Service;
  s3: S3Service;
  imds: Service;
  imdsSettings: ImdsSettings;
}

/** Sets the clock, and applies the lifecycle rules of that time. They are not applied otherwise. */
function setClock({ time }: { time: string | null }, { context, s3 }: Controlled): LifecycleAction[] {
  context.setClock(time === null ? null : new Date(time));
  return s3.applyLifecycle();
}

type Handler = (body: never, lab: Controlled) => unknown;

/** Handlers by method and path. Bodies of requests and responses are JSON. */
const HANDLERS: Record<string, Handler> = {
  'POST /faults': (spec: FaultSpec, { context }) => ({ id: context.faults.add(checkedFault(spec)) }),
  'DELETE /faults': (_body, { context }) => context.faults.clear(),
  'GET /faults/unused': (_body, { context }) => context.faults.unused(),
  'GET /calls': (_body, { context }) => context.calls,
  'DELETE /calls': (_body, { context }) => void context.calls.splice(0),
  'GET /leftovers': (_body, lab) => leftoversOf(lab),
  'POST /snapshots': (fixture: SnapshotFixture, { ec2 }) => ec2.registerSnapshot(fixture),
  'POST /images': (fixture: ImageFixture, { ec2 }) => ec2.registerImage(fixture),
  'POST /volumes': ({ snapshotId }: { snapshotId: string }, { ec2 }) => ec2.plugSnapshot(snapshotId),
  'DELETE /volumes': ({ volumeId }: { volumeId: string }, { ec2 }) => ec2.unplugVolume(volumeId),
  'POST /buckets': (body: { name: string; ownerId?: string; region?: string }, { s3 }) =>
    s3.createBucket(body.name, body),
  'POST /identities': (body: { name: string; policy: Policy | null; expires?: string }, { context }) =>
    context.identities.add(body.name, context.accountId, body.policy, body.expires),
  'PUT /delays': (delays: Partial<Delays>, { context }) => Object.assign(context.delays, delays),
  'PUT /clock': setClock,
  'PUT /role-life': ({ seconds }: { seconds: number }, { imdsSettings }) => {
    imdsSettings.roleSeconds = seconds;
  },
  'PUT /spot-action': (action: ImdsSettings['spotAction'], { imdsSettings }) => {
    imdsSettings.spotAction = action;
  },
};

export const createControl =
  (lab: Controlled) =>
  async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const handler = HANDLERS[`${request.method} ${request.url}`];
    const send = (status: number, answer: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? null));
    if (!handler) return void send(404, { error: `the lab has no ${request.method} ${request.url}` });
    try {
      const body = await readBody(request);
      send(200, await handler((body.length === 0 ? null : JSON.parse(body.toString())) as never, lab));
    } catch (error) {
      lab.context.failed('control', request, error);
      send(400, { error: error instanceof Error ? error.message : String(error) });
    }
  };

const KINDS = new Set(['error', 'latency', 'reset', 'cut', 'lose', 'stall', 'flip', 'hang', 'behaviour']);

/** Refuses misspelled faults, which would never occur, so that a test would prove nothing. */
function checkedFault(spec: FaultSpec): FaultSpec {
  const known = ['service', 'operation', 'match', 'skip', 'times', 'every', 'action'];
  const unknown = Object.keys(spec).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`a fault has no ${unknown}`);
  if (!['ec2', 's3', 'imds', 'ebs', 'pricing', 'sts'].includes(spec.service))
    throw new Error(`there is no service ${spec.service}`);
  if (!KINDS.has(spec.action?.kind)) throw new Error(`there is no action ${spec.action?.kind}`);
  return spec;
}

async function leftoversOf({ ec2, s3, imds }: Controlled): Promise<Leftover[]> {
  return (await Promise.all([ec2, s3, imds].map((service) => service.leftovers()))).flat();
}
