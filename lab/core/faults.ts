/** Decides which calls meet scripted faults, and plays the faults. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { type Call, ConnectionGone, type Fault, type FaultAction, type FaultSpec, ServiceError } from './contract.ts';
import { cutAfter, flipBit, loseAnswer, stallAfter } from './damage.ts';

interface Scripted extends Fault {
  /** The number of matching calls so far, whether the fault was played or not. */
  met: number;
}

export class FaultBook {
  #faults: Scripted[] = [];
  #clearing = new AbortController();

  /** A signal that is aborted when the faults are cleared. It ends all waits for them. */
  get cleared(): AbortSignal {
    return this.#clearing.signal;
  }

  add(spec: FaultSpec): string {
    const id = randomUUID();
    this.#faults.push({ ...spec, id, played: 0, met: 0 });
    return id;
  }

  /** Returns the faults that have not been played as often as scripted. */
  unused(): Fault[] {
    return this.#faults.filter((fault) => fault.played < (fault.times ?? 1) && !(fault.every && fault.played > 0));
  }

  clear(): void {
    this.#faults = [];
    this.#clearing.abort();
    this.#clearing = new AbortController();
  }

  /** Returns the actions that meet this call, in the order in which they were scripted. */
  meet(call: Call): FaultAction[] {
    return this.#faults
      .filter((fault) => matches(fault, call) && isDue(fault))
      .map((fault) => {
        fault.played++;
        return fault.action;
      });
  }
}

const matches = (fault: Scripted, call: Call): boolean =>
  fault.service === call.service &&
  (fault.operation === call.operation || fault.operation === '*') &&
  Object.entries(fault.match ?? {}).every(([name, value]) => call.details[name] === value);

function isDue(fault: Scripted): boolean {
  fault.met++;
  if (fault.met <= (fault.skip ?? 0)) return false;
  if (fault.every !== undefined) return fault.met % fault.every === 0;
  return fault.played < (fault.times ?? 1);
}

/**
 * Plays actions on a request.
 * @param cleared ends latencies early.
 * @returns the behaviours, which the service plays itself.
 * @throws ServiceError for scripted errors, and ConnectionGone for `reset` and `hang`.
 */
export async function play(
  actions: readonly FaultAction[],
  request: IncomingMessage,
  response: ServerResponse,
  cleared: AbortSignal,
): Promise<Map<string, string>> {
  const behaviours = new Map<string, string>();
  for (const action of actions) {
    if (action.kind === 'latency') await pause(action.milliseconds, undefined, { signal: cleared }).catch(() => {});
    else if (action.kind === 'behaviour') behaviours.set(action.name, action.value ?? '');
    else if (action.kind === 'cut') cutAfter(action.afterBytes, request, response);
    else if (action.kind === 'lose') loseAnswer(response);
    else if (action.kind === 'stall') stallAfter(action.afterBytes, response);
    else if (action.kind === 'flip') flipBit(action.at, request, response);
    else throw ending(action, request);
  }
  return behaviours;
}

function ending(action: FaultAction & { kind: 'error' | 'reset' | 'hang' }, request: IncomingMessage): Error {
  if (action.kind === 'error') {
    return new ServiceError(
      action.code,
      action.message ?? `scripted: ${action.code}`,
      action.status ?? statusOf(action.code),
    );
  }
  if (action.kind === 'reset') request.socket.destroy();
  return new ConnectionGone();
}

/** Returns the status that AWS sends with the codes that tests script most often. */
function statusOf(code: string): number {
  if (/SlowDown|Unavailable|RequestLimitExceeded/.test(code)) return 503;
  if (/Internal/.test(code)) return 500;
  if (/AccessDenied|Unauthorized|AuthFailure|Skewed/.test(code)) return 403;
  return /NoSuch/.test(code) ? 404 : 400;
}
