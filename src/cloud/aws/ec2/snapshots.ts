/** Finds the snapshots of the account. */
import type { Call, Snapshot, Snapshots } from '../../ports.ts';
import { translateErrors } from '../errors.ts';
import { type EC2Client, type Ec2Filter, type Snapshot as Ec2Snapshot, paginateDescribeSnapshots } from '../sdk.ts';
import { resourceTags } from './resource-tags.ts';
import { fromTagList } from './tag-list.ts';

/** Maximum values of one filter in a Describe call. */
const MAX_FILTER_VALUES = 200;

/** Calls without paging draw on a smaller throttling bucket. */
export const SNAPSHOTS_PER_PAGE = 1000;

export function awsSnapshots(client: EC2Client): Snapshots {
  return {
    async tagged(key, value, call) {
      const filters = [
        { Name: `tag:${key}`, Values: [value] },
        { Name: 'status', Values: ['completed'] },
      ];
      const found = await describe(client, filters, `list the snapshots tagged ${key}=${value}`, call);
      return found.sort((a, b) => a.startTime.getTime() - b.startTime.getTime());
    },

    withTagKey(key, call) {
      return describe(client, [{ Name: 'tag-key', Values: [key] }], `list the snapshots with a tag ${key}`, call);
    },

    async byId(ids, call) {
      const found = new Map<string, Snapshot>();
      for (let from = 0; from < ids.length; from += MAX_FILTER_VALUES) {
        const filters = [{ Name: 'snapshot-id', Values: ids.slice(from, from + MAX_FILTER_VALUES) }];
        for (const snapshot of await describe(client, filters, 'describe the snapshots', call)) {
          found.set(snapshot.id, snapshot);
        }
      }
      return ids.flatMap((id) => found.get(id) ?? []);
    },

    ...resourceTags(client),
  };
}

/** Ids are passed as a filter, because one unknown id in `SnapshotIds` would fail the whole call. */
function describe(client: EC2Client, filters: Ec2Filter[], doing: string, { signal }: Call): Promise<Snapshot[]> {
  return translateErrors(doing, signal, async () => {
    const snapshots: Snapshot[] = [];
    const pages = paginateDescribeSnapshots(
      { client, pageSize: SNAPSHOTS_PER_PAGE },
      { OwnerIds: ['self'], Filters: filters },
      { abortSignal: signal },
    );
    for await (const page of pages) snapshots.push(...(page.Snapshots ?? []).map(toSnapshot));
    return snapshots;
  });
}

export const toSnapshot = (snapshot: Ec2Snapshot): Snapshot => ({
  id: snapshot.SnapshotId ?? '',
  volumeId: snapshot.VolumeId ?? '',
  sizeGiB: snapshot.VolumeSize ?? 0,
  startTime: snapshot.StartTime ?? new Date(0),
  state: snapshot.State ?? '',
  ownerId: snapshot.OwnerId ?? '',
  description: snapshot.Description ?? '',
  encrypted: snapshot.Encrypted ?? false,
  kmsKeyId: snapshot.KmsKeyId ?? null,
  storageTier: snapshot.StorageTier ?? 'standard',
  dataBytes: snapshot.FullSnapshotSizeInBytes ?? null,
  tags: fromTagList(snapshot.Tags),
});
