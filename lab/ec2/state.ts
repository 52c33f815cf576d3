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
  /** Blocks of 512 KiB that were written with zeros, by index. */
  writtenZeros?: number[];
  /** When the last block of one that is being written arrived; its start before that. */
  writtenAt?: number;
  /** When it was taken, or sealed: EC2 works on it for a while before it is completed. */
  sealedAt?: number;
  /** Of a snapshot that was begun as the changes to another. */
  parentId?: string;
  /** If it is not the lab's own. */
  region?: string;
}

/** A machine image, as far as it refers to snapshots. */
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
  /** The loop device; `null` until the volume is attached, or when it was asked to appear without one. */
  loop: string | null;
  requestedAt: number;
  /** `null`: never. */
  attachedAt: number | null;
  detachingSince: number | null;
  withoutDevice: boolean;
  /** As on Xen, where no serial number identifies a volume. */
  withoutSerial: boolean;
  /** The image of somebody else's disk, which has the name instead; `null`: the volume's own. */
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
  /** Goes to state `error` instead of `available`. */
  fails: boolean;
  visibleAt: number;
  /** Describe calls that do not see it yet. */
  invisibleLooks: number;
  deletedAt: number | null;
  attachment: StoredAttachment | null;
  clientToken: string | null;
  /** What it was created with, to tell a repeated request from another one of the same token. */
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
