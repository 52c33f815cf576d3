/** Lists what an account has in EC2, by region. */
import type { Image, Inventory } from '../../inventory.ts';
import type { Call, Snapshot, Volume } from '../../ports.ts';
import { translateErrors } from '../errors.ts';
import { type EC2Client, paginateDescribeImages, paginateDescribeSnapshots, paginateDescribeVolumes } from '../sdk.ts';
import { SNAPSHOTS_PER_PAGE, toSnapshot } from './snapshots.ts';
import { toVolume, VOLUMES_PER_PAGE } from './volumes.ts';

/** @param clientIn creates a client for a region. It is called once per region. */
export function awsInventory(clientIn: (region: string) => EC2Client): Inventory {
  const clients = new Map<string, EC2Client>();
  const inRegion = (region: string) => {
    const client = clients.get(region) ?? clientIn(region);
    clients.set(region, client);
    return client;
  };
  return {
    snapshots: (region, accounts, call) =>
      translateErrors(`list the snapshots in ${region}`, call.signal, async () => {
        const found = await listSnapshots(inRegion(region), accounts, call);
        return found.sort((a, b) => a.startTime.getTime() - b.startTime.getTime());
      }),

    volumes: (region, call) =>
      translateErrors(`list the volumes in ${region}`, call.signal, () => listVolumes(inRegion(region), call)),

    images: (region, call) =>
      translateErrors(`list the images in ${region}`, call.signal, () => listImages(inRegion(region), call)),
  };
}

/** Accounts per call. Reports name from a handful to hundreds of accounts. */
const MAX_OWNERS = 100;

const IMAGES_PER_PAGE = 1000;

async function listSnapshots(client: EC2Client, accounts: readonly string[], { signal }: Call): Promise<Snapshot[]> {
  const owners = ['self', ...accounts];
  const found = new Map<string, Snapshot>();
  for (let from = 0; from < owners.length; from += MAX_OWNERS) {
    const input = { OwnerIds: owners.slice(from, from + MAX_OWNERS) };
    for await (const page of paginateDescribeSnapshots({ client, pageSize: SNAPSHOTS_PER_PAGE }, input, {
      abortSignal: signal,
    })) {
      for (const snapshot of page.Snapshots ?? []) found.set(snapshot.SnapshotId ?? '', toSnapshot(snapshot));
    }
  }
  return [...found.values()];
}

async function listVolumes(client: EC2Client, { signal }: Call): Promise<Volume[]> {
  const found: Volume[] = [];
  for await (const page of paginateDescribeVolumes(
    { client, pageSize: VOLUMES_PER_PAGE },
    {},
    { abortSignal: signal },
  )) {
    found.push(...(page.Volumes ?? []).map(toVolume));
  }
  return found;
}

async function listImages(client: EC2Client, { signal }: Call): Promise<Image[]> {
  const found: Image[] = [];
  const input = { Owners: ['self'], IncludeDisabled: true };
  for await (const page of paginateDescribeImages({ client, pageSize: IMAGES_PER_PAGE }, input, {
    abortSignal: signal,
  })) {
    for (const { ImageId = '', BlockDeviceMappings = [] } of page.Images ?? []) {
      found.push({ id: ImageId, snapshotIds: BlockDeviceMappings.flatMap(({ Ebs }) => Ebs?.SnapshotId ?? []) });
    }
  }
  return found;
}
