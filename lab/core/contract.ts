/**
 * The contract between the services of the local cloud and their frame.
 *
 * A service (`ec2`, `s3`, `imds`, `ebs`, `pricing`, `sts`) is an HTTP handler on its own loopback port. It determines
 * the operation of a request. Then it calls `admit`, which writes the call log and plays scripted faults,
 * `authenticate`, and `allowed`. Services render errors in their own wire format from `ServiceError`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

export type ServiceName = 'ec2' | 's3' | 'imds' | 'ebs' | 'pricing' | 'sts';

/** An error of a service. Each service renders it in the format of the real service. */
export class ServiceError extends Error {
  readonly code: string;
  readonly status: number;
  /** Further members of the error document or of the headers. */
  readonly extra: Readonly<Record<string, string>>;

  constructor(code: string, message: string, status = 400, extra: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'ServiceError';
    this.code = code;
    this.status = status;
    this.extra = extra;
  }
}

/** `admit` throws this error after a fault has destroyed the connection. The service returns without a response. */
export class ConnectionGone extends Error {}

/** A request with its operation. Faults can match the strings in `details`, such as `{ bucket, key, partNumber }`. */
export interface Call {
  service: ServiceName;
  operation: string;
  details: Readonly<Record<string, string>>;
}

export type FaultAction =
  /** Respond with this error. `status` defaults to the one that the service uses for the code. */
  | { kind: 'error'; code: string; message?: string; status?: number }
  | { kind: 'latency'; milliseconds: number }
  /** Destroy the connection before the response. */
  | { kind: 'reset' }
  /** Destroy the connection after this many bytes of the response body (downloads) or request body (uploads). */
  | { kind: 'cut'; afterBytes: number }
  /** Carry out the call, and destroy the connection instead of responding. */
  | { kind: 'lose' }
  /** Respond, but send nothing after this many bytes of the body. The connection stays open. */
  | { kind: 'stall'; afterBytes: number }
  /** Flip one bit of this byte in the bodies of the request and of the response. */
  | { kind: 'flip'; at: number }
  /** Accept the request and never respond. */
  | { kind: 'hang' }
  /** A fault that the service itself plays, such as `stuck-attaching` or `volume-error` (see BEHAVIOUR.md). */
  | { kind: 'behaviour'; name: string; value?: string };

/** A scripted fault. The first `skip` (default: 0) matching calls pass, and the next `times` (default: 1) meet it. */
export interface FaultSpec {
  service: ServiceName;
  operation: string;
  match?: Readonly<Record<string, string>>;
  skip?: number;
  times?: number;
  /** Play the fault on every n-th matching call instead, without a limit. */
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
  /** For example, `ec2:CreateVolume`. */
  action: string;
  /** ARNs, or `*` if the action does not support resources. */
  resources: readonly string[];
  /** Condition keys and values, such as `{ 'aws:RequestTag/snap-to-s3': ['snap-1'] }`. */
  context?: Readonly<Record<string, readonly string[]>>;
}

/** Delays and limits, in milliseconds unless stated otherwise. By default, transitions and calls take no time. */
export interface Delays {
  volumeCreating: number;
  attaching: number;
  detaching: number;
  deleting: number;
  snapshotPending: number;
  /** How long a snapshot that is being written may wait for its next block before EBS cancels it. */
  snapshotTimeout: number;
  /** How long GetSnapshotBlock takes. */
  getBlock: number;
  /** How long tokens of blocks are valid. */
  blockTokenLife: number;
  /** Not a time, but the read speed of attached volumes, limited by control groups (version 1). 0: no limit. */
  volumeBytesPerSecond: number;
  /** Not times, but blocks per second. 0: no limit. */
  snapshotBlocksPerSecond: number;
  accountBlocksPerSecond: number;
  /** How long Describe calls do not show a new resource (eventual consistency). */
  visibility: number;
  /** How long a thaw takes. */
  restore: number;
}

export interface InstanceIdentity {
  instanceId: string;
  instanceType: string;
  availabilityZone: string;
  region: string;
  accountId: string;
}

/** The functions and settings that the frame provides to each service. */
export interface LabContext {
  /** The lab's state directory. A service keeps its own state in `<directory>/<service>/`. */
  readonly directory: string;
  readonly region: string;
  readonly accountId: string;
  readonly instance: InstanceIdentity;
  readonly delays: Delays;
  /** The maximum page size of Describe and List calls, whatever the caller requests. `undefined`: that of AWS. */
  readonly pageSize: number | undefined;
  now(): Date;
  /**
   * Logs the call and plays the matching faults in the order of scripting. Errors throw `ServiceError`. `reset` and
   * `hang` throw `ConnectionGone`. The other kinds wait, or prepare the connection. Behaviours are returned to the
   * service.
   */
  admit(call: Call, request: IncomingMessage, response: ServerResponse): Promise<{ behaviours: Map<string, string> }>;
  /**
   * Checks the SigV4 signature of a request (header or presigned query), and its session token.
   * @param payloadSha256 the hexadecimal hash of the body if the service has read it. Otherwise the
   *   `x-amz-content-sha256` header is used, and the service verifies the body against it.
   * @returns the caller, and the values that are needed to check the chunk signatures of a streaming body.
   * @throws ServiceError with the code of the service (`AuthFailure`, `SignatureDoesNotMatch`, `ExpiredToken` etc.).
   */
  authenticate(service: ServiceName, request: IncomingMessage, payloadSha256?: string): SignedRequest;
  /** Logs why a request failed. Unexpected errors are logged with their stack. */
  failed(service: ServiceName | 'control', request: IncomingMessage, error: unknown): void;
  /** Returns whether the caller's policy allows an action. A caller without a policy may do everything. */
  allowed(caller: Caller, wanted: Authorization): boolean;
}

export interface SignedRequest {
  caller: Caller;
  /** The seed of the chunk signatures of `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`. */
  seedSignature: string;
  signingKey: Buffer;
  scope: string;
  timestamp: string;
}

/** A resource that a user would still pay for, or that still exists on this machine. */
export interface Leftover {
  kind: 'volume' | 'attachment' | 'multipart-upload' | 'loop-device' | 'mount' | 'device-link' | 'claim';
  id: string;
  detail: string;
}

export interface Service {
  readonly name: ServiceName;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Returns all resources of this service that a program should have released. */
  leftovers(): Promise<Leftover[]>;
  /** Writes the state to disk, and releases devices that a stopped lab cannot serve. */
  close(): Promise<void>;
}
