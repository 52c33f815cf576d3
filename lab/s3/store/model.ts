/** What the store of S3 keeps. Times are ISO dates. */
import type { Algorithm, Checksum, ChecksumType } from '../checksums.ts';

export interface Bucket {
  name: string;
  ownerId: string;
  region: string;
  created: string;
  /** The unchanged document of PutBucketLifecycleConfiguration. */
  lifecycle?: string;
  /** The unchanged document of PutObjectLockConfiguration. */
  objectLock?: string;
  versioning?: 'Enabled' | 'Suspended';
}

/** The properties of an object besides its bytes, which are set when it is created. */
export interface ObjectHead {
  metadata: Record<string, string>;
  /** Content-Type and the other HTTP headers that S3 returns unchanged. */
  headers: Record<string, string>;
  tags: Record<string, string>;
  storageClass: string;
}

export interface StoredPart {
  file: string;
  bytes: number;
  md5: string;
  checksum: string | null;
  modified: string;
}

interface VersionFacts {
  key: string;
  /** The text `null` if the bucket had no versioning, or suspended it, when the version was written. */
  versionId: string;
  /** A number that grows with each version that is written. */
  sequence: number;
  modified: string;
}

/** The newest version of an object that was deleted without naming a version. */
export interface DeleteMarker extends VersionFacts {
  isDeleteMarker: true;
}

export interface StoredObject extends VersionFacts, ObjectHead {
  isDeleteMarker: false;
  etag: string;
  bytes: number;
  parts: StoredPart[];
  checksum: Checksum | null;
  uploadId: string | null;
  restore: { readyAt: string; expires: string } | null;
}

export type StoredVersion = StoredObject | DeleteMarker;

export type NewObject = Omit<StoredObject, 'versionId' | 'sequence' | 'isDeleteMarker'>;

export interface Upload extends ObjectHead {
  id: string;
  bucket: string;
  key: string;
  initiated: string;
  checksum: { algorithm: Algorithm; type: ChecksumType } | null;
  parts: Record<string, StoredPart>;
}
