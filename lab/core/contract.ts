/**
 * The contract between the services of the local cloud and their frame.
 *
 * A service (`ec2`, `s3`, `imds`, `ebs`, `pricing`, `sts`) is an HTTP handler on its own loopback port. It names the operation
 * of a request, then calls `admit`, which writes the call log and plays scripted faults, then `authenticate` and
 * `authorize`. Services render errors in their own wire format from `ServiceError`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

export type ServiceName = 'ec2' | 's3' | 'imds' | 'ebs' | 'pricing' | 'sts';

/** An error of a service; each service renders it in the format of the real one. */
export class ServiceError extends Error {
  readonly code: string;
  readonly status: number;
  /** Further members for the error document or headers. */
  readonly extra: Readonly<Record<string, string>>;

  constructor(code: string, message: string, status = 400, extra: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'ServiceError';
    this.code = code;
    this.status = status;
    this.extra = extra;
  }
}

/** Thrown by `admit` after a fault has destroyed the connection: the service just returns. */
export class ConnectionGone extends Error {}

/** One request, named. `details` are strings a fault may match on, e.g. `{ bucket, key, partNumber }`. */
export interface Call {
  service: ServiceName;
  operation: string;
  details: Readonly<Record<string, string>>;
}

export type FaultAction =
  /** Answer with this error. `status` defaults to what the service uses for the code. */
  | { kind: 'error'; code: string; message?: string; status?: number }
  | { kind: 'latency'; milliseconds: number }
  /** Destroy the connection before anything is answered. */
  | { kind: 'reset' }
  /** Destroy the connection after this many bytes of the response body (downloads) or request body (uploads). */
  | { kind: 'cut'; afterBytes: number }
  /** Do what was asked, and destroy the connection instead of answering. */
  | { kind: 'lose' }
  /** Answer, and send nothing after this many bytes of the body, over a connection that stays open. */
  | { kind: 'stall'; afterBytes: number }
  /** Damage one bit of this byte of the body, whether that of the request or that of the answer. */
  | { kind: 'flip'; at: number }
  /** Accept the request and never answer it. */
  | { kind: 'hang' }
  /** Something only the service can play: `stuck-attaching`, `volume-error`, `not-yet-visible`, ... (BEHAVIOUR.md). */
  | { kind: 'behaviour'; name: string; value?: string };

/** A scripted fault. It is used up after `times` (default 1) matching calls; the first `skip` matching calls pass. */
export interface FaultSpec {
  service: ServiceName;
  operation: string;
  match?: Readonly<Record<string, string>>;
  skip?: number;
  times?: number;
  /** Play on each n-th matching call only. */
  every?: number;
  action: FaultAction;
}

export interface Fault extends FaultSpec {
  id: string;
  played: number;
}

export interface Caller {
  accessKeyId: string;
  arn: string;
  accountId: string;
}

export interface Authorization {
  /** e.g. `ec2:CreateVolume` */
  action: string;
  /** ARNs; `*` where the action knows none. */
  resources: readonly string[];
  /** Condition keys and values, e.g. `{ 'aws:RequestTag/snap-to-s3': ['snap-1'] }`. */
  context?: Readonly<Record<string, readonly string[]>>;
}

/** Milliseconds that each transition takes; all 0 in tests unless they ask for more. */
export interface Delays {
  volumeCreating: number;
  attaching: number;
  detaching: number;
  deleting: number;
  snapshotPending: number;
  /** How long a snapshot that is being written may wait for its next block before EBS cancels it. */
  snapshotTimeout: number;
  /** What GetSnapshotBlock takes. */
  getBlock: number;
  /** How long tokens of blocks can be used. */
  blockTokenLife: number;
  /** Not a time, but how fast attached volumes are read, by the kernel's control groups (version 1); 0: no limit. */
  volumeBytesPerSecond: number;
  /** Not times, but blocks a second; 0: no limit. */
  snapshotBlocksPerSecond: number;
  accountBlocksPerSecond: number;
  /** How long a fresh resource stays invisible to Describe calls (eventual consistency). */
  visibility: number;
  /** How long a Glacier restore takes. */
  restore: number;
}

export interface InstanceIdentity {
  instanceId: string;
  instanceType: string;
  availabilityZone: string;
  region: string;
  accountId: string;
}

/** What the frame offers to each service. */
export interface LabContext {
  /** The lab's state directory; a service keeps its own in `<directory>/<service>/`. */
  readonly directory: string;
  readonly region: string;
  readonly accountId: string;
  readonly instance: InstanceIdentity;
  readonly delays: Delays;
  /** The largest page a Describe or List call returns, whatever the caller asks for; `undefined`: as AWS. */
  readonly pageSize: number | undefined;
  now(): Date;
  /**
   * Logs the call and plays the faults that match, latency first. Error faults throw `ServiceError`; `reset` and
   * `hang` throw `ConnectionGone`; `cut` arms the connection and returns. Behaviours are returned for the service.
   */
  admit(call: Call, request: IncomingMessage, response: ServerResponse): Promise<{ behaviours: Map<string, string> }>;
  /**
   * Checks SigV4 (header or presigned query; session tokens) of a request.
   * @param payloadSha256 hex of the body when the service has read it; else the `x-amz-content-sha256` header is
   *   trusted and the service verifies the body against it. `undefined` means: use the header.
   * @returns the caller, and what a streaming body needs to check chunk signatures.
   * @throws ServiceError in the service's dialect (`AuthFailure`, `SignatureDoesNotMatch`, `ExpiredToken`, ...).
   */
  authenticate(service: ServiceName, request: IncomingMessage, payloadSha256?: string): SignedRequest;
  /** Notes why a request was not done: what nobody meant to happen with its stack. */
  failed(service: ServiceName | 'control', request: IncomingMessage, error: unknown): void;
  /** Whether the caller's policy allows it; a caller without a policy may do everything. */
  allowed(caller: Caller, wanted: Authorization): boolean;
}

export interface SignedRequest {
  caller: Caller;
  /** The signature that seeds chunk signatures of `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`. */
  seedSignature: string;
  signingKey: Buffer;
  scope: string;
  timestamp: string;
}

/** A resource that a user of the cloud would still pay for, or that this machine still holds. */
export interface Leftover {
  kind: 'volume' | 'attachment' | 'multipart-upload' | 'loop-device' | 'mount' | 'device-link' | 'claim';
  id: string;
  detail: string;
}

export interface Service {
  readonly name: ServiceName;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Everything of this service that a tidy program would have given back. */
  leftovers(): Promise<Leftover[]>;
  /** Flushes state to disk and gives back devices that a stopped lab cannot serve. */
  close(): Promise<void>;
}
