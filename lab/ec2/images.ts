/** Machine images, and the snapshots that they need. */
import type { LabContext } from '../core/contract.ts';
import { checkFilters, type Filter, filtered, type Paging, page } from './describe.ts';
import { type Ec2State, newId, type StoredImage } from './state.ts';

export interface ImageFixture {
  name?: string;
  snapshotIds: string[];
  /** The region (default: that of the lab). */
  region?: string;
  ownerId?: string;
}

export function registerImage(state: Ec2State, context: LabContext, fixture: ImageFixture): StoredImage {
  const image = {
    id: newId('ami'),
    name: fixture.name ?? 'an image',
    region: fixture.region ?? context.region,
    ownerId: fixture.ownerId ?? context.accountId,
    snapshotIds: fixture.snapshotIds,
  };
  state.images.set(image.id, image);
  state.save();
  return image;
}

interface DescribeInput extends Paging {
  Owners?: string[];
  Filters?: Filter[];
}

const FILTERS = new Set(['image-id', 'name', 'block-device-mapping.snapshot-id']);

/** @param region the called region, which has its own images. */
export function describeImages(state: Ec2State, context: LabContext, input: DescribeInput, region: string): object {
  checkFilters(input.Filters, (name) => FILTERS.has(name));
  const owners = (input.Owners ?? []).map((owner) => (owner === 'self' ? context.accountId : owner));
  const here = [...state.images.values()].filter(
    (image) => image.region === region && (owners.length === 0 || owners.includes(image.ownerId)),
  );
  const { items, ...more } = page(filtered(here, input.Filters, filterValues), input, context.pageSize);
  return { Images: items.map(toWire), ...more };
}

const filterValues = (image: StoredImage, name: string): readonly string[] | undefined =>
  ({ 'image-id': [image.id], name: [image.name], 'block-device-mapping.snapshot-id': image.snapshotIds })[name];

const toWire = (image: StoredImage): object => ({
  ImageId: image.id,
  Name: image.name,
  OwnerId: image.ownerId,
  State: 'available',
  BlockDeviceMappings: image.snapshotIds.map((SnapshotId, at) => ({
    DeviceName: `/dev/sd${String.fromCharCode(97 + at)}`,
    Ebs: { SnapshotId },
  })),
});
