/**
 * What the program asks of a cloud. Adapters live in `cloud/aws`; everything above knows only these contracts.
 *
 * For all of them: nothing is sent once `signal` has fired, and reads and parts are cut short by it. A call that makes,
 * tags, completes or commits something is not: its outcome must be known to whoever gives it back. Throttling and
 * transient errors are retried inside; what comes out is a `SnapError`. Reads may lag behind writes by seconds (eventual consistency).
 */

export interface Snapshot {
  id: string;
  /** The volume it was taken of. */
  volumeId: string;
  sizeGiB: number;
  startTime: Date;
  state: string;
  ownerId: string;
  description: string;
  encrypted: boolean;
  kmsKeyId: string | null;
  /** `standard` or `archive`. */
  storageTier: string;
  /** Bytes of all blocks ever written, when AWS tells it (`FullSnapshotSizeInBytes`). */
  dataBytes: number | null;
  tags: Record<string, string>;
}

export type VolumeState = 'creating' | 'available' | 'in-use' | 'deleting' | 'deleted' | 'error';

export interface Attachment {
  instanceId: string;
  device: string;
  /** `attaching`, `attached`, `detaching`, `detached` or `busy`. */
  state: string;
}

export interface Volume {
  id: string;
  state: VolumeState;
  sizeGiB: number;
  type: string;
  availabilityZone: string;
  /** Of the snapshot that it was made of; empty where there is none. */
  snapshotId: string;
  createdAt: Date;
  attachments: Attachment[];
  tags: Record<string, string>;
}

export interface NewVolume {
  /** What it is made of; or, empty, how large. */
  content: { snapshotId: string } | { sizeGiB: number; encrypted: boolean };
  availabilityZone: string;
  type: string;
  kmsKeyId?: string;
  tags: Record<string, string>;
  /** The same token never makes a second volume. */
  clientToken: string;
}

export interface Call {
  signal: AbortSignal;
}

/** One price of AWS's list: of the first units, where there are ranges. */
export interface ListedPrice {
  service: string;
  /** With the prefix of its region, e.g. `EU-EBS:SnapshotUsage`. */
  usageType: string;
  operation: string;
  unit: string;
  dollars: number;
}

export interface PriceLists {
  /** What storage and its requests cost in a region; nothing where the list has no such region. */
  ofRegion(region: string, call: Call): Promise<ListedPrice[]>;
}

/** Setting and removing the tags of a snapshot or volume. */
export interface ResourceTags {
  setTags(resourceId: string, tags: Record<string, string>, call: Call): Promise<void>;
  removeTags(resourceId: string, keys: readonly string[], call: Call): Promise<void>;
}

/** EC2's snapshots and their tags, in one region and account. */
export interface Snapshots extends ResourceTags {
  /** The account's snapshots whose tag `key` has `value`, oldest first; only completed ones. */
  tagged(key: string, value: string, call: Call): Promise<Snapshot[]>;
  /** The account's snapshots that carry a tag `key`, whatever its value and whatever state they are in. */
  withTagKey(key: string, call: Call): Promise<Snapshot[]>;
  /** The account's snapshots with these ids, in the order asked for; ids that do not exist are left out. */
  byId(ids: readonly string[], call: Call): Promise<Snapshot[]>;
}

/** EC2's volumes, and their attachments to instances. */
export interface Volumes extends ResourceTags {
  /** Throws `SNAPSHOT_UNUSABLE` where the snapshot itself is the reason. */
  create(wanted: NewVolume, call: Call): Promise<Volume>;
  /** `null` while (or since) EC2 does not know it. */
  get(volumeId: string, call: Call): Promise<Volume | null>;
  /** Volumes made from the snapshot that carry a tag `tagKey`, in the zone. */
  ofSnapshot(snapshotId: string, tagKey: string, availabilityZone: string, call: Call): Promise<Volume[]>;
  /** Volumes of all zones that carry these tags, made of one snapshot or (`null`) of any. */
  withTags(tags: Record<string, string>, snapshotId: string | null, call: Call): Promise<Volume[]>;
  /**
   * An attachment to this instance that is there already counts: the answer to an earlier attempt may have been lost.
   * @returns its device name; `null` when the one asked for is taken, which only EC2 can tell for sure.
   */
  attach(volumeId: string, instanceId: string, device: string, call: Call): Promise<string | null>;
  /** An attachment that is already gone is a success. */
  detach(volumeId: string, instanceId: string, options: Call & { force: boolean }): Promise<void>;
  /** A volume that is already gone is a success. @returns `false` while its state does not allow it. */
  delete(volumeId: string, call: Call): Promise<boolean>;
  /** Device names that the instance's attachments hold, e.g. `/dev/sda1`. */
  deviceNames(instanceId: string, call: Call): Promise<string[]>;
}

/** The EC2 instance that this process runs on, told by its metadata service. */
export interface Instance {
  id: string;
  type: string;
  region: string;
  availabilityZone: string;
  accountId: string;
}

/** The user, or session of a role, whose credentials are used. */
export interface CallerIdentity {
  arn: string;
  /** 12 digits. */
  account: string;
}

/** Facts and settings that an object carries from its creation. */
export interface ObjectFacts {
  key: string;
  metadata: Record<string, string>;
  tags: Record<string, string>;
}

export interface PartReceipt {
  number: number;
  etag: string;
  /** Base64 CRC32 of the part, where the store has one. */
  checksum?: string;
  bytes: number;
}

export interface StoredObject {
  key: string;
  etag: string;
  bytes: number;
  versionId: string | null;
  /** As the store answered it, e.g. `{ algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'base64' }`. */
  checksum: { algorithm: string; type: string; value: string } | null;
}

/** One object being written in parts. Nothing is visible under its key before `complete` has succeeded. */
export interface PartStore {
  create(call: Call): Promise<string>;
  putPart(uploadId: string, number: number, bytes: Buffer, call: Call): Promise<PartReceipt>;
  /**
   * Makes the object visible. `totalBytes` is checked by the store. When the answer was lost, the adapter finds out
   * whether the object is there before it reports failure.
   */
  complete(uploadId: string, receipts: readonly PartReceipt[], totalBytes: number, call: Call): Promise<StoredObject>;
  /** Parts that the store has of an upload; none when it does not know it. */
  parts(uploadId: string, call: Call): Promise<PartReceipt[]>;
  /** Gives the parts back; an upload that is already gone is a success. */
  abort(uploadId: string, call: Call): Promise<void>;
}

/** What is known of an object without reading it. */
export interface ObjectHead {
  key: string;
  etag: string;
  bytes: number;
  storageClass: string;
  /** By the store's clock. */
  modifiedAt: Date;
  metadata: Record<string, string>;
  /** Base64 CRC-32 of the whole object, where the store has one. */
  crc32: string | null;
  /** Of an object in an archive class: can it be read now? */
  restore: 'not-needed' | 'needed' | 'ongoing' | 'restored';
}

export interface ThawOrder {
  tier: 'Bulk' | 'Standard' | 'Expedited';
  days: number | null;
}

/** An object as a listing shows it. */
export type ListedObject = Pick<ObjectHead, 'key' | 'etag' | 'bytes' | 'storageClass' | 'modifiedAt'>;

/** An object as it is now: reads fail once it has been replaced. */
export interface ObjectReader {
  readonly key: string;
  /**
   * Bytes from `start` up to, not including, `end`. Breaks of the connection surface while iterating, as they are;
   * errors of the call itself as SnapError.
   */
  read(start: number, end: number, call: Call): Promise<AsyncIterable<Uint8Array>>;
}

/** A small object with its content. */
export interface SmallObject {
  etag: string;
  body: Buffer;
  /** When it was written, and when this answer was given: both by the store's own clock. */
  modifiedAt: Date;
  answeredAt: Date;
}

export interface UnfinishedUpload {
  key: string;
  uploadId: string;
  /** By the store's clock. */
  initiatedAt: Date;
}

/** The bucket that archives live in. */
export interface ArchiveStore {
  readonly bucket: string;
  /** All settings that objects are created with, in one line: parts of one upload must share them. */
  readonly creationSettings: string;
  /** Throws `BUCKET` or `ACCESS_DENIED` unless the bucket is there, ours and writable as far as can be told. `answeredAt` is
   * the store's clock. */
  check(call: Call): Promise<{ region: string | null; answeredAt: Date }>;
  /** A new large object, in the store's own storage class unless one is given; encryption is the store's setting. */
  object(facts: ObjectFacts, storageClass?: 'STANDARD'): PartStore;
  /** A small object in Standard class. `replaces`: the ETag it must replace; `null`: the key must be free. */
  putSmall(
    facts: ObjectFacts,
    body: Buffer,
    replaces: string | null,
    call: Call,
  ): Promise<StoredObject & { answeredAt: Date }>;
  /** `null` when there is no such object (and only then). */
  head(key: string, call: Call): Promise<ObjectHead | null>;
  /** The tags of an object; none where it is gone, or where the store knows no tags. */
  tags(key: string, call: Call): Promise<Record<string, string>>;
  /** All keys with a prefix, in order. */
  list(prefix: string, call: Call): Promise<string[]>;
  /** The objects with a prefix, in the order of their keys, as pages of the listing come. */
  objects(prefix: string, call: Call): AsyncGenerator<ListedObject>;
  reader(key: string, etag: string): ObjectReader;
  /**
   * Asks for a copy of an object in an archive class that can be read; one that is there stays for so many days from now.
   * Throws `OBJECT_ARCHIVED` where there is no capacity for the tier.
   * @param order `days`: `null` for Intelligent-Tiering, which makes no copies.
   */
  thaw(key: string, order: ThawOrder, call: Call): Promise<'requested' | 'ongoing' | 'restored'>;
  /** A small object, whole. Throws `NOT_FOUND` when it is not there. */
  getSmall(key: string, call: Call): Promise<SmallObject>;
  /** Removes an object if it is still this one; one that is gone, or another, is left alone. */
  removeIf(key: string, etag: string, call: Call): Promise<void>;
  /** Uploads that were begun and neither completed nor aborted, of keys with a prefix. */
  unfinishedUploads(prefix: string, call: Call): Promise<UnfinishedUpload[]>;
}
