/** Limits the read speed of a device in the kernel, because a new volume of a snapshot is slow. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

/** The limits for all processes, in version 1 of control groups. Source: block/blk-throttle.c of Linux. */
const LIMITS = '/sys/fs/cgroup/blkio/blkio.throttle.read_bps_device';

/** @param bytesPerSecond 0 for no limit. */
export function limitReads(device: string, bytesPerSecond: number): void {
  const number = readFileSync(`/sys/block/${basename(device)}/dev`, 'utf8').trim();
  const isLimited = existsSync(LIMITS) && readFileSync(LIMITS, 'utf8').includes(`${number} `);
  if (isLimited || bytesPerSecond > 0) writeFileSync(LIMITS, `${number} ${bytesPerSecond}`);
}
