/** The resources of the account in EC2, which are saved after every change. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../core/files.ts';

/** Times are milliseconds since the epoch. */
export interface StoredSnapshot {
  id: string;
  volumeId: string;
  sizeGiB: number;
  description: string;
  startTime: number;
  ownerId: string;
  encrypted: boolean;
  kmsKeyId: string | null;
  productCodes: string[];
  storageTier: 'standard' | 'archive';
  state: 'pending' | 'completed' | 'error';
  dataBytes: number;
  tags: Record<string, string>;
  /** The indexes of blocks that were written with zeros. */
  writtenZeros?: number[];
  /** When the last block of a pending snapshot arrived, or when the snapshot was started if there is none. */
  writtenAt?: number;
  /** When the snapshot was taken or sealed. EC2 completes it some time later. */
  sealedAt?: number;
  /** The parent of a snapshot that consists of changes to another. */
  parentId?: string;
  /** The region, if it is not that of the lab. */
  region?: string;
}

/** The part of a machine image that refers to snapshots. */
export interface StoredImage {
  id: string;
  name: string;
  region: string;
  ownerId: string;
  snapshotIds: string[];
}

export interface StoredAttachment {
  instanceId: string;
  device: string;
  /** The loop device, or `null` until the volume is attached, and for an attachment without a device. */
  loop: string | null;
  requestedAt: number;
  /** `null` if it never becomes attached. */
  attachedAt: number | null;
  detachingSince: number | null;
  withoutDevice: boolean;
  /** No serial number identifies the volume, as on Xen. */
  withoutSerial: boolean;
  /** The image of another disk that takes the name, or `null` for the volume's own image. */
  foreignImage: string | null;
  stuckDetaching: boolean;
}

export interface StoredVolume {
  id: string;
  snapshotId: string;
  sizeGiB: number;
  type: string;
  availabilityZone: string;
  encrypted: boolean;
  kmsKeyId: string | null;
  createTime: number;
  availableAt: number;
  /** The state becomes `error` instead of `available`. */
  fails: boolean;
  visibleAt: number;
  /** The number of further Describe calls that do not show the volume. */
  invisibleLooks: number;
  deletedAt: number | null;
  attachment: StoredAttachment | null;
  clientToken: string | null;
  /** The parameters of the creation. They distinguish a repeated request from another one with the same token. */
  request: string;
  tags: Record<string, string>;
}

interface Document {
  snapshots: StoredSnapshot[];
  volumes: StoredVolume[];
  images?: StoredImage[];
}

export class Ec2State {
  readonly directory: string;
  readonly snapshots = new Map<string, StoredSnapshot>();
  readonly volumes = new Map<string, StoredVolume>();
  readonly images = new Map<string, StoredImage>();

  constructor(directory: string) {
    this.directory = directory;
    if (!existsSync(this.#file)) return;
    const { snapshots, volumes, images = [] } = JSON.parse(readFileSync(this.#file, 'utf8')) as Document;
    for (const snapshot of snapshots) this.snapshots.set(snapshot.id, snapshot);
    for (const volume of volumes) this.volumes.set(volume.id, volume);
    for (const image of images) this.images.set(image.id, image);
  }

  get #file(): string {
    return join(this.directory, 'state.json');
  }

  save(): void {
    const document: Document = {
      snapshots: [...this.snapshots.values()],
      volumes: [...this.volumes.values()],
      images: [...this.images.values()],
    };
    writeFileAtomically(this.#file, JSON.stringify(document, null, 1));
  }

  snapshotImage(id: string): string {
    return join(this.directory, 'snapshots', `${id}.img`);
  }

  volumeImage(id: string): string {
    return join(this.directory, 'volumes', `${id}.img`);
  }
}

export const newId = (kind: 'snap' | 'vol' | 'ami'): string => `${kind}-${randomBytes(9).toString('hex').slice(0, 17)}`;
