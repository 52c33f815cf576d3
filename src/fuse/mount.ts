/** Mounts the file that this process serves. */
import { SnapError } from '../errors.ts';
import { seconds } from '../lib/clock.ts';
import { describeOutcome, lastLine } from '../transfer/outcome.ts';
import { outcomeWithin, startStage } from '../transfer/process.ts';
import { MAX_TRANSFER } from './protocol.ts';

const MOUNT_TIMEOUT = seconds(60);

/**
 * @param descriptor an open `/dev/fuse` whose requests are being read.
 * @param file an empty regular file to mount on.
 * @throws SnapError `MOUNT_FAILED`
 */
export async function mountServed(descriptor: number, file: string): Promise<void> {
  // `mount` inherits the descriptor as 3.
  const options = `fd=3,rootmode=100600,user_id=0,group_id=0,nodev,nosuid,noexec,max_read=${MAX_TRANSFER}`;
  const argv = ['mount', '-i', '-n', '-t', 'fuse', '-o', options, '--', 'snap-to-s3', file];
  const mounting = startStage(argv, { stdin: null, stdout: null, others: [descriptor] });
  const outcome = await outcomeWithin(mounting, MOUNT_TIMEOUT);
  if (outcome.exitCode === 0) return;
  throw new SnapError(
    'MOUNT_FAILED',
    `a disk cannot be served as a file: mount ${describeOutcome(outcome)}${lastLine(outcome.stderrTail)}`,
    {
      hint: 'it requires root and the kernel module fuse: run modprobe fuse',
    },
  );
}
