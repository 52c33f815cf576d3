/** Reads tags of snapshots from EC2, and the log of calls that changed something. */
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import type { TestLab } from './lab.ts';

export async function tagsOf(lab: TestLab, snapshotId: string): Promise<Record<string, string>> {
  const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshotId] }));
  return Object.fromEntries((Snapshots[0]?.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
}

/** Returns the names of the calls that changed something. */
export async function writesIn(lab: TestLab): Promise<string[]> {
  const calls = await lab.control.calls();
  return calls.map(({ operation }) => operation).filter((name) => !/^(Describe|Head|Get|List|PutToken)/.test(name));
}
