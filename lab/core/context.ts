/** The context that the frame provides to all services: faults, call log, signatures and policies. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Authorization,
  type Call,
  type Caller,
  ConnectionGone,
  type Delays,
  type InstanceIdentity,
  type LabContext,
  ServiceError,
  type ServiceName,
  type SignedRequest,
} from './contract.ts';
import { FaultBook, play } from './faults.ts';
import type { Identities, Identity } from './identities.ts';
import { isAllowed } from './policy.ts';
import { dialectOf, parseAmzDate, readClaim, sha256, signingKeyOf, verify } from './sigv4.ts';

export interface LoggedCall extends Call {
  time: string;
  accessKeyId: string | null;
}

export interface Frame {
  directory: string;
  region: string;
  accountId: string;
  instance: InstanceIdentity;
  delays: Delays;
  pageSize: number | undefined;
  identities: Identities;
  /** Called with a line for each request that was refused or failed. */
  log: (line: string) => void;
}

/** Maximum difference between the clocks of a caller and of the lab, in minutes. */
const SKEW = 15;

/** Maximum number of calls in the log, because a benchmark makes millions. */
const LOGGED = 100_000;

export class Context implements LabContext {
  readonly faults = new FaultBook();
  readonly calls: LoggedCall[] = [];
  readonly #frame: Frame;
  /** Milliseconds by which the clock of the lab is ahead. */
  #ahead = 0;

  constructor(frame: Frame) {
    this.#frame = frame;
  }

  get directory() {
    return this.#frame.directory;
  }
  get region() {
    return this.#frame.region;
  }
  get accountId() {
    return this.#frame.accountId;
  }
  get instance() {
    return this.#frame.instance;
  }
  get delays() {
    return this.#frame.delays;
  }
  get pageSize() {
    return this.#frame.pageSize;
  }
  get identities() {
    return this.#frame.identities;
  }

  now(): Date {
    return new Date(Date.now() + this.#ahead);
  }

  /** Sets the clock, which then runs on. `null` sets it to the clock of the machine. */
  setClock(time: Date | null): void {
    this.#ahead = time === null ? 0 : time.getTime() - Date.now();
  }

  async admit(call: Call, request: IncomingMessage, response: ServerResponse) {
    const accessKeyId = /Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1] ?? null;
    this.calls.push({ ...call, time: this.now().toISOString(), accessKeyId });
    if (this.calls.length > LOGGED) this.calls.splice(0, LOGGED / 10);
    const behaviours = await play(this.faults.meet(call), request, response, this.faults.cleared);
    if (request.socket.destroyed) throw new ConnectionGone();
    return { behaviours };
  }

  authenticate(service: ServiceName, request: IncomingMessage, payloadSha256?: string): SignedRequest {
    const codes = dialectOf(service);
    const claim = readClaim(request, codes);
    const identity = this.#frame.identities.find(claim.accessKeyId);
    if (!identity)
      throw new ServiceError(codes.unknownKey, 'The AWS access key id you provided does not exist in our records', 403);
    if (identity.sessionToken !== claim.sessionToken) {
      throw new ServiceError(codes.mismatch, 'The provided security token is invalid', 403);
    }
    this.#checkTime(claim.timestamp, claim.expires, identity, service);
    const signingKey = signingKeyOf(identity.secretAccessKey, claim.scope);
    const given = claim.expires === null ? request.headers['x-amz-content-sha256'] : 'UNSIGNED-PAYLOAD';
    const payload = payloadSha256 ?? (typeof given === 'string' ? given : sha256(''));
    verify(request, claim, { signingKey, payloadSha256: payload, doubleEncode: service !== 's3', codes });
    return {
      caller: { accessKeyId: identity.accessKeyId, arn: identity.arn, accountId: this.accountId },
      seedSignature: claim.signature,
      signingKey,
      scope: claim.scope,
      timestamp: claim.timestamp,
    };
  }

  failed(service: ServiceName | 'control', { method = '', url = '' }: IncomingMessage, error: unknown): void {
    const why =
      error instanceof ServiceError
        ? `${error.status} ${error.code}: ${error.message}`
        : `500 ${error instanceof Error ? error.stack : String(error)}`;
    this.#frame.log(`${this.now().toISOString()} ${service} ${method} ${url.split('?X-Amz-')[0]}: ${why}`);
  }

  allowed(caller: Caller, wanted: Authorization): boolean {
    const identity = this.#frame.identities.find(caller.accessKeyId);
    if (!identity) return false;
    return identity.policy === null || isAllowed(identity.policy, wanted);
  }

  /** Callers may use the clock of the machine or that of the lab, which responses show. */
  #checkTime(timestamp: string, expires: number | null, identity: Identity, service: ServiceName): void {
    const codes = dialectOf(service);
    const signedAt = parseAmzDate(timestamp).getTime();
    const ages = [Date.now(), this.now().getTime()].map((time) => time - signedAt);
    const isCurrent =
      expires === null ? ages.some((age) => Math.abs(age) <= SKEW * 60_000) : ages.some((age) => age <= expires * 1000);
    if (!isCurrent) {
      const code = expires === null ? codes.skewed : 'AccessDenied';
      throw new ServiceError(code, 'The difference between the request time and the current time is too large', 403);
    }
    if (identity.expires !== undefined && Date.parse(identity.expires) <= Date.now()) {
      throw new ServiceError(codes.expired, 'The provided token has expired', 400);
    }
  }
}
