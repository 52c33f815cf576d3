/**
 * The contracts between the program and a cloud. The adapters are in `cloud/aws`; all other code knows only these
 * types.
 *
 * The following holds for all of them. Nothing is sent after `signal` has been aborted. Aborting it cuts reads and
 * parts short, but not calls that create, tag, complete or commit something: the caller must learn their outcome to be
 * able to undo them. Writes and removals of small objects and completions are canceled half a minute or a minute later;
 * they fail only if a last read does not show that they were carried out. Adapters retry throttled calls and transient errors, and throw a `SnapError` when they give up.
 * Reads may lag behind writes by seconds (eventual consistency).
 */
import type { LockChecks, LockMode, ObjectLock } from './object-lock.ts';

export interface Snapshot {
  id: string;
  /** The volume that the snapshot was taken of. */
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
  /** Bytes of all blocks that were ever written (`FullSnapshotSizeInBytes`); `null` if AWS does not report it. */
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
  /** The snapshot that the volume was created from; empty if there is none. */
  snapshotId: string;
  createdAt: Date;
  attachments: Attachment[];
  tags: Record<string, string>;
}

export interface NewVolume {
  content: { kind: 'snapshot'; snapshotId: string } | { kind: 'empty'; sizeGiB: number; encrypted: boolean };
  availabilityZone: string;
  type: string;
  kmsKeyId?: string;
  tags: Record<string, string>;
  /** Repeated calls with the same token create only one volume. */
  clientToken: string;
}

export interface Call {
  signal: AbortSignal;
}

/** An entry of the AWS price list. Of tiered prices, it is the first tier. */
export interface ListedPrice {
  service: string;
  /** Includes the prefix of the region, e.g. `EU-EBS:SnapshotUsage`. */
  usageType: string;
  operation: string;
  unit: string;
  dollars: number;
}

export interface PriceLists {
  /** Lists the prices of storage and its requests in a region; empty if the price list does not have the region. */
  ofRegion(region: string, call: Call): Promise<ListedPrice[]>;
}

/** Sets and removes the tags of a snapshot or volume. */
export interface ResourceTags {
  setTags(resourceId: string, tags: Record<string, string>, call: Call): Promise<void>;
  removeTags(resourceId: string, keys: readonly string[], call: Call): Promise<void>;
}

/** The snapshots of one account in one region, and their tags. */
export interface Snapshots extends ResourceTags {
  /** Lists the completed snapshots of the account whose tag `key` has this value, oldest first. */
  tagged(key: string, value: string, call: Call): Promise<Snapshot[]>;
  /** Lists the snapshots of the account that have a tag `key`, with any value and in any state. */
  withTagKey(key: string, call: Call): Promise<Snapshot[]>;
  /** Returns the snapshots of the account with these ids, in this order. Unknown ids are left out. */
  byId(ids: readonly string[], call: Call): Promise<Snapshot[]>;
}

/** The volumes of EC2 and their attachments to instances. */
export interface Volumes extends ResourceTags {
  /**
   * Creates a volume.
   * @throws SnapError `SNAPSHOT_UNUSABLE` if the snapshot itself is the reason for the failure.
   */
  create(wanted: NewVolume, call: Call): Promise<Volume>;
  /** Describes a volume; `null` if EC2 does not know it yet or any more. */
  get(volumeId: string, call: Call): Promise<Volume | null>;
  /** Lists the volumes in the zone that were created from the snapshot and have a tag `tagKey`. */
  ofSnapshot(snapshotId: string, tagKey: string, availabilityZone: string, call: Call): Promise<Volume[]>;
  /**
   * Lists the volumes in all zones that have these tags.
   * @param snapshotId restricts the list to volumes created from this snapshot; `null` does not restrict it.
   */
  withTags(tags: Record<string, string>, snapshotId: string | null, call: Call): Promise<Volume[]>;
  /**
   * Attaches a volume. If it is already attached to this instance, that counts: the response to an earlier attempt may
   * have been lost.
   * @returns the device name; `null` if the requested name is in use, which only EC2 can know for certain.
   */
  attach(volumeId: string, instanceId: string, device: string, call: Call): Promise<string | null>;
  /** Detaches a volume. An attachment that no longer exists counts as detached. */
  detach(volumeId: string, instanceId: string, options: Call & { force: boolean }): Promise<void>;
  /**
   * Deletes a volume. A volume that no longer exists counts as deleted.
   * @returns `false` if the state of the volume does not allow it yet.
   */
  delete(volumeId: string, call: Call): Promise<boolean>;
  /** Lists the device names that the attachments of the instance use, e.g. `/dev/sda1`. */
  deviceNames(instanceId: string, call: Call): Promise<string[]>;
}

/** The EC2 instance that this process runs on, according to the instance metadata service. */
export interface Instance {
  id: string;
  type: string;
  region: string;
  availabilityZone: string;
  accountId: string;
}

/** The user or role session that the credentials belong to. */
export interface CallerIdentity {
  arn: string;
  /** 12 digits. */
  account: string;
}

/** Key, metadata, tags and lock that an object gets when it is created. */
export interface ObjectFacts {
  key: string;
  metadata: Record<string, string>;
  tags: Record<string, string>;
  /** By default none, unless the bucket has a default retention. */
  lock?: ObjectLock | null;
}

export interface UploadChoices {
  /** By default the storage class of the store's settings. */
  storageClass?: 'STANDARD';
  /** Whether the completion fails if the key has an object already. By default, the new object replaces it. */
  mustBeNew?: boolean;
}

export interface PartReceipt {
  number: number;
  etag: string;
  /** CRC-32 of the part in Base64, if the store reports it. */
  checksum?: string;
  bytes: number;
}

export interface StoredObject {
  key: string;
  etag: string;
  bytes: number;
  versionId: string | null;
  /** The checksum as the store reports it, e.g. `{ algorithm: 'CRC32', type: 'FULL_OBJECT', value: 'base64' }`. */
  checksum: { algorithm: string; type: string; value: string } | null;
}

/** Writes one object in parts. The object appears under its key only when `complete` has succeeded. */
export interface PartStore {
  create(call: Call): Promise<string>;
  putPart(uploadId: string, number: number, bytes: Buffer, call: Call): Promise<PartReceipt>;
  /**
   * Makes the object visible. The store checks `totalBytes`. If the response is lost, the adapter looks for the object
   * before it reports a failure.
   * @throws SnapError `ARCHIVE_EXISTS` if the object must be new and the key has an object with other bytes. An object
   *   with the same parts counts as ours.
   */
  complete(uploadId: string, receipts: readonly PartReceipt[], totalBytes: number, call: Call): Promise<StoredObject>;
  /** Lists the parts of an upload that the store holds; empty if it does not know the upload. */
  parts(uploadId: string, call: Call): Promise<PartReceipt[]>;
  /** Aborts an upload, which frees its parts. An upload that no longer exists counts as aborted. */
  abort(uploadId: string, call: Call): Promise<void>;
}

/** What the store reports about an object without its content. */
export interface ObjectHead {
  key: string;
  etag: string;
  bytes: number;
  storageClass: string;
  /** When the object was written, by the clock of the store. */
  modifiedAt: Date;
  metadata: Record<string, string>;
  /** CRC-32 of the whole object in Base64; `null` if the store does not report it. */
  crc32: string | null;
  /** Whether an object in an archive class can be read now. */
  restore: 'not-needed' | 'needed' | 'ongoing' | 'restored';
  /**
   * Until when Object Lock protects this version, which may be past; `null` if it has no retention, or if the store does
   * not report it: S3 omits it for callers without `s3:GetObjectRetention`.
   */
  lockedUntil: Date | null;
  /** `null` exactly if `lockedUntil` is. */
  lockMode: LockMode | null;
}

export interface ThawOrder {
  tier: 'Bulk' | 'Standard' | 'Expedited';
  days: number | null;
}

/** An object as it appears in a listing. */
export type ListedObject = Pick<ObjectHead, 'key' | 'etag' | 'bytes' | 'storageClass' | 'modifiedAt'>;

/** Reads one version of an object. Reads fail once the object has been replaced. */
export interface ObjectReader {
  readonly key: string;
  /**
   * Reads the bytes from `start` up to but not including `end`.
   * @throws SnapError if the call fails. If the connection breaks later, the iteration throws the original error.
   */
  read(start: number, end: number, call: Call): Promise<AsyncIterable<Uint8Array>>;
}

/** A small object and its content. */
export interface SmallObject {
  etag: string;
  body: Buffer;
  /** When the object was written and when this response was given, both by the clock of the store. */
  modifiedAt: Date;
  answeredAt: Date;
}

export interface UnfinishedUpload {
  key: string;
  uploadId: string;
  /** When the upload was started, by the clock of the store. */
  initiatedAt: Date;
}

/** The bucket that holds the archives. */
export interface ArchiveStore extends LockChecks {
  readonly bucket: string;
  /** All settings that objects are created with, as one line. An upload can be resumed only with the same settings. */
  readonly creationSettings: string;
  /**
   * Checks that the bucket exists and may be used. `answeredAt` is the time of the response by the clock of the store.
   * @throws SnapError `BUCKET` or `ACCESS_DENIED`
   */
  check(call: Call): Promise<{ region: string | null; answeredAt: Date }>;
  /** Prepares the upload of a large object. */
  object(facts: ObjectFacts, choices?: UploadChoices): PartStore;
  /**
   * Writes a small object in the Standard class.
   * @param replaces the ETag of the object that it must replace; `null` if the key must be free.
   */
  putSmall(
    facts: ObjectFacts,
    body: Buffer,
    replaces: string | null,
    call: Call,
  ): Promise<StoredObject & { answeredAt: Date }>;
  /** Returns the metadata of an object; `null` only if the object does not exist. */
  head(key: string, call: Call): Promise<ObjectHead | null>;
  /** Returns the tags of an object; empty if the object does not exist or the store does not support tags. */
  tags(key: string, call: Call): Promise<Record<string, string>>;
  /** Lists all keys with a prefix, in order. */
  list(prefix: string, call: Call): Promise<string[]>;
  /** Yields the objects with a prefix in the order of their keys, one page of the listing after another. */
  objects(prefix: string, call: Call): AsyncGenerator<ListedObject>;
  reader(key: string, etag: string): ObjectReader;
  /**
   * Requests a readable copy of an object in an archive class. If there is one already, this extends its lifetime.
   * @param order `days` counts from now; `null` is for Intelligent-Tiering, which makes no copies.
   * @throws SnapError `OBJECT_ARCHIVED` if S3 has no capacity for the tier.
   */
  thaw(key: string, order: ThawOrder, call: Call): Promise<'requested' | 'ongoing' | 'restored'>;
  /**
   * Reads a small object completely.
   * @throws SnapError `NOT_FOUND` if it does not exist.
   */
  getSmall(key: string, call: Call): Promise<SmallObject>;
  /** Deletes an object if its ETag is still this one. Otherwise it does nothing. */
  removeIf(key: string, etag: string, call: Call): Promise<void>;
  /** Lists the uploads of keys with a prefix that were started and neither completed nor aborted. */
  unfinishedUploads(prefix: string, call: Call): Promise<UnfinishedUpload[]>;
}
