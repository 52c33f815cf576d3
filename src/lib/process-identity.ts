/** Identifies a process uniquely over time, so that other runs can find out whether it still exists. */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

export interface ProcessIdentity {
  host: string;
  pid: number;
  /** Id of the current boot. Process ids are meaningful only within one boot and one namespace. */
  boot: string;
  /** Id of the PID namespace. */
  namespace: string;
  /** Start time of the process, in clock ticks since the boot. */
  started: string;
}

export const thisProcess = (): ProcessIdentity => ({
  host: hostname(),
  pid: process.pid,
  boot: bootId(),
  namespace: namespace(),
  started: startOf(process.pid) ?? '',
});

/** Formats an identity as one word, for example for a tag. The host name is left out. */
export const formatIdentity = ({ boot, namespace, pid, started }: ProcessIdentity): string =>
  [boot, namespace, pid, started].join(':');

/** @param word as formatted by `formatIdentity`. Any other word gives an identity that matches no process. */
export function parseIdentity(word: string): ProcessIdentity {
  const [boot = '', space = '', pid = '', started = ''] = word.split(':');
  return { host: '', boot, namespace: space, pid: Number(pid), started };
}

/**
 * Whether the process ran on this machine and has ended. It is false for other machines and other containers, about
 * which nothing is known.
 */
export const isKnownDead = (identity: ProcessIdentity): boolean =>
  isOnThisMachine(identity) && identity.namespace === namespace() && startOf(identity.pid) !== identity.started;

/** Whether the process belongs to the current boot of this machine. */
export const isOnThisMachine = ({ boot }: ProcessIdentity): boolean => boot !== '' && boot === bootId();

/**
 * Identifies this machine over restarts; empty if it has no machine id. machine-id(5) asks programs to publish only a
 * hash of it. Machines made from one image, and containers on several hosts, may share a machine id. The UUID of the
 * hardware, which only root can read, distinguishes them.
 */
export const machineMark = (): string =>
  markOf(readOr('/etc/machine-id', ''), readOr('/sys/class/dmi/id/product_uuid', ''));

/** @param machineId content of `/etc/machine-id`, which says `uninitialized` during the first boot. */
export const markOf = (machineId: string, hardwareId: string): string =>
  /^[0-9a-f]{32}$/.test(machineId.trim())
    ? createHash('sha256').update(`snap-to-s3:${machineId.trim()}:${hardwareId.trim()}`).digest('hex').slice(0, 16)
    : '';

const bootId = (): string => readOr('/proc/sys/kernel/random/boot_id', '').trim();

/** For example `4026531836`; empty if it cannot be read. */
function namespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
  } catch {
    return '';
  }
}

/** Field 22 of `/proc/PID/stat`, see proc(5); `null` if the process does not exist or is a zombie. */
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
