/** A client for the control API of a lab. */
import type { LoggedCall } from '../core/context.ts';
import type { Delays, Fault, FaultSpec, Leftover } from '../core/contract.ts';
import type { Identity } from '../core/identities.ts';
import type { Policy } from '../core/policy.ts';
import type { ImageFixture } from '../ec2/images.ts';
import type { SnapshotFixture } from '../ec2/snapshots.ts';
import type { ImdsSettings } from '../imds/index.ts';
import type { LifecycleAction } from '../s3/lifecycle/apply.ts';

/** Reports that the lab refused a request, with the reason. */
export class LabRefusal extends Error {}

export class LabControl {
  readonly #url: string;

  /** @param url the lab's control endpoint. */
  constructor(url: string) {
    this.#url = url;
  }

  script = (fault: FaultSpec) => this.#ask<{ id: string }>('POST', '/faults', fault);
  clearFaults = () => this.#ask<null>('DELETE', '/faults');
  unusedFaults = () => this.#ask<Fault[]>('GET', '/faults/unused');
  calls = () => this.#ask<LoggedCall[]>('GET', '/calls');
  clearCalls = () => this.#ask<null>('DELETE', '/calls');
  leftovers = () => this.#ask<Leftover[]>('GET', '/leftovers');
  addSnapshot = (fixture: SnapshotFixture) =>
    this.#ask<{ snapshotId: string; volumeId: string }>('POST', '/snapshots', fixture);
  /** Adds a machine image that needs these snapshots. */
  addImage = (fixture: ImageFixture) => this.#ask<{ imageId: string }>('POST', '/images', fixture);
  /** Adds a volume of the snapshot, and attaches it to this machine. */
  addVolume = (snapshotId: string) =>
    this.#ask<{ volumeId: string; device: string }>('POST', '/volumes', { snapshotId });
  removeVolume = (volumeId: string) => this.#ask<null>('DELETE', '/volumes', { volumeId });
  addBucket = (name: string, settings: { ownerId?: string; region?: string } = {}) =>
    this.#ask<null>('POST', '/buckets', { name, ...settings });
  /** Adds a caller. Without a policy (`null`), the caller may do everything. */
  addIdentity = (name: string, policy: Policy | null, expires?: string) =>
    this.#ask<Identity>('POST', '/identities', { name, policy, ...(expires === undefined ? {} : { expires }) });
  setDelays = (delays: Partial<Delays>) => this.#ask<Delays>('PUT', '/delays', delays);
  /**
   * Sets the clock of the lab, which then runs on, and applies the lifecycle rules of buckets. `null` sets it to the clock
   * of the machine.
   * @returns what the rules did.
   */
  setClock = (time: Date | null) => this.#ask<LifecycleAction[]>('PUT', '/clock', { time });
  /** Sets how long credentials of the instance's role live from now on. */
  setRoleLife = (seconds: number) => this.#ask<null>('PUT', '/role-life', { seconds });
  setSpotAction = (action: ImdsSettings['spotAction']) => this.#ask<null>('PUT', '/spot-action', action);

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    if (!response.ok) throw new LabRefusal((answer as { error: string }).error);
    return answer as T;
  }
}
