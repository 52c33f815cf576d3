/** Every fault that the lab can script, in every call that a command makes. */
import type { FaultAction, FaultSpec, ServiceName } from '../../lab/core/contract.ts';

export const COMMANDS = ['migrate', 'validate', 'clean', 'doctor'] as const;
export type CommandName = (typeof COMMANDS)[number];

export interface Trouble {
  /** The name in the table. */
  name: string;
  /** Services in which it can occur. */
  services: readonly ServiceName[];
  /** It occurs only in these operations, if they are given. */
  operations?: readonly string[];
  action: FaultAction | ((service: ServiceName) => FaultAction);
  /** How many consecutive calls it affects; `always` for all. */
  times: number | 'always';
}

const ALL: readonly ServiceName[] = ['ec2', 's3', 'imds'];

const error = (codes: Partial<Record<ServiceName, string>>, status: number) => (service: ServiceName) => ({
  kind: 'error' as const,
  code: codes[service] ?? 'InternalError',
  status,
});

const behaviour = (name: string, ...operations: string[]): Trouble => ({
  name: name.replaceAll('-', ' '),
  services: ['ec2', 's3'],
  operations,
  action: { kind: 'behaviour', name, value: '2' },
  times: 1,
});

const TROUBLES: readonly Trouble[] = [
  {
    name: 'throttled, twice',
    services: ALL,
    action: error({ ec2: 'RequestLimitExceeded', s3: 'SlowDown', imds: 'TooManyRequests' }, 503),
    times: 2,
  },
  { name: 'internal error, twice', services: ALL, action: error({}, 500), times: 2 },
  { name: 'connection reset', services: ALL, action: { kind: 'reset' }, times: 1 },
  { name: 'answer cut short', services: ALL, action: { kind: 'cut', afterBytes: 20 }, times: 1 },
  { name: 'slow answer', services: ALL, action: { kind: 'latency', milliseconds: 400 }, times: 1 },
  { name: 'no answer', services: ALL, action: { kind: 'hang' }, times: 1 },
  {
    name: 'denied',
    services: ALL,
    action: error({ ec2: 'UnauthorizedOperation', s3: 'AccessDenied', imds: 'Forbidden' }, 403),
    times: 'always',
  },
  {
    name: 'expired credentials',
    services: ['ec2', 's3'],
    action: error({ ec2: 'RequestExpired', s3: 'ExpiredToken' }, 400),
    times: 'always',
  },
  // These affect every attempt, because the first may be refused for a device name that another lab has just taken.
  { ...behaviour('stuck-attaching', 'AttachVolume'), times: 'always' },
  { ...behaviour('attach-without-device', 'AttachVolume'), times: 'always' },
  behaviour('device-taken', 'AttachVolume'),
  behaviour('stuck-detaching', 'DetachVolume'),
  behaviour('volume-error', 'CreateVolume'),
  behaviour('not-yet-visible', 'CreateVolume'),
  behaviour('error-after-200', 'CompleteMultipartUpload'),
  behaviour('lost-answer', 'CompleteMultipartUpload'),
];

export interface Cell {
  service: ServiceName;
  operation: string;
  trouble: Trouble;
  command: CommandName;
}

export const specOf = ({ service, operation, trouble }: Cell): FaultSpec => ({
  service,
  operation,
  action: typeof trouble.action === 'function' ? trouble.action(service) : trouble.action,
  ...(trouble.times === 'always' ? { every: 1 } : { times: trouble.times }),
});

/** @param calls that the command makes without faults, as `service operation`. */
export function cellsOf(command: CommandName, calls: readonly string[]): Cell[] {
  return calls.flatMap((call) => {
    const [service = '', operation = ''] = call.split(' ');
    const known = service as ServiceName;
    return TROUBLES.filter(
      ({ services, operations }) => services.includes(known) && (operations?.includes(operation) ?? true),
    ).map((trouble) => ({ service: known, operation, trouble, command }));
  });
}
