/** The tags of a snapshot in EC2. */
import { DescribeSnapshotsCommand } from '@aws-sdk/client-ec2';
import type { TestLab } from './lab.ts';

export async function tagsOf(lab: TestLab, snapshotId: string): Promise<Record<string, string>> {
  const { Snapshots = [] } = await lab.ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [snapshotId] }));
  return Object.fromEntries((Snapshots[0]?.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
}

/** Returns the calls that change something, by name. */
export async function writesIn(lab: TestLab): Promise<string[]> {
  const calls = await lab.control.calls();
  return calls.map(({ operation }) => operation).filter((name) => !/^(Describe|Head|Get|List|PutToken)/.test(name));
}
