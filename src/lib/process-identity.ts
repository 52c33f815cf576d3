/** Who a process is, told apart from all that ever ran, so that others can find out whether it is still there. */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

export interface ProcessIdentity {
  host: string;
  pid: number;
  /** Of the machine since it was started: process ids mean something within one boot and one namespace only. */
  boot: string;
  /** Namespace of process ids. */
  namespace: string;
  /** When the process started, in clock ticks since the boot. */
  started: string;
}

export const thisProcess = (): ProcessIdentity => ({
  host: hostname(),
  pid: process.pid,
  boot: bootId(),
  namespace: namespace(),
  started: startOf(process.pid) ?? '',
});

/** As one word, e.g. for a tag; the host is left out. */
export const identityWord = ({ boot, namespace, pid, started }: ProcessIdentity): string =>
  [boot, namespace, pid, started].join(':');

/** @param word as `identityWord` makes it; of any other, nothing is known. */
export function identityOf(word: string): ProcessIdentity {
  const [boot = '', space = '', pid = '', started = ''] = word.split(':');
  return { host: '', boot, namespace: space, pid: Number(pid), started };
}

/** Whether it is a process of this machine that has ended. Of other machines, and other containers, nothing is known. */
export const isKnownDead = (identity: ProcessIdentity): boolean =>
  isOfThisMachine(identity) && identity.namespace === namespace() && startOf(identity.pid) !== identity.started;

/** Whether it runs, or ran, on this machine since that was started. */
export const isOfThisMachine = ({ boot }: ProcessIdentity): boolean => boot !== '' && boot === bootId();

const bootId = (): string => readOr('/proc/sys/kernel/random/boot_id', '').trim();

/** `4026531836` */
function namespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
  } catch {
    return '';
  }
}

/** Field 22 of proc(5)'s `stat`, behind the name in parentheses; `null` when there is no such process, or a zombie. */
function startOf(pid: number): string | null {
  const fields = readOr(`/proc/${pid}/stat`, '').split(') ').at(-1)?.split(' ') ?? [];
  return fields[0] === 'Z' ? null : (fields[19] ?? null);
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
