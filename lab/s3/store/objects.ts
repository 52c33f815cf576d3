/** Stores the versions of objects. A bucket without versioning has one version of each object, with the id `null`. */
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../../core/files.ts';
import { KeyOrder } from './key-order.ts';
import type { Bucket, DeleteMarker, NewObject, StoredObject, StoredVersion } from './model.ts';

/** The content of a file. Files of objects without versions lack these facts. */
export interface VersionDocument {
  bucket: string;
  object: NewObject & Partial<StoredObject>;
}

/** The versions of one key, newest first. */
type Versions = readonly StoredVersion[];

const UNVERSIONED = 'null';

export class ObjectShelf {
  readonly #directory: string;
  readonly #buckets = new Map<string, Map<string, Versions>>();
  readonly #order = new KeyOrder();
  #sequence = 0;

  /** @param directory for one file per version. @param documents the content of its files. */
  constructor(directory: string, documents: readonly VersionDocument[]) {
    this.#directory = directory;
    for (const { bucket, object } of documents) {
      const version = { versionId: UNVERSIONED, sequence: 0, isDeleteMarker: false, ...object } as StoredVersion;
      this.#sequence = Math.max(this.#sequence, version.sequence);
      this.#set(bucket, version.key, [...this.versionsOf(bucket, version.key), version].sort(newestFirst));
    }
  }

  /** Returns the object, unless it was deleted. */
  current(bucket: string, key: string): StoredObject | undefined {
    const [newest] = this.versionsOf(bucket, key);
    return newest?.isDeleteMarker === false ? newest : undefined;
  }

  /** Returns the current objects whose keys follow `after`, in the order in which S3 lists them. */
  listed(bucket: string, after: string): StoredObject[] {
    return this.#keysAfter(bucket, after).flatMap((key) => this.current(bucket, key) ?? []);
  }

  /** Returns all versions in the order in which S3 lists them: by key, and newest first. */
  versions(bucket: string): StoredVersion[] {
    return this.#keysAfter(bucket, '').flatMap((key) => this.versionsOf(bucket, key));
  }

  versionsOf(bucket: string, key: string): Versions {
    return this.#buckets.get(bucket)?.get(key) ?? [];
  }

  /** The part files of all versions. */
  files(): string[] {
    return [...this.#buckets.keys()].flatMap((bucket) => this.versions(bucket).flatMap(filesOf));
  }

  /** Publishes a new version. Without versioning, it replaces the object. */
  publish(bucket: Bucket, object: NewObject): StoredObject {
    return this.#add(bucket, { ...object, ...this.#newVersion(bucket), isDeleteMarker: false });
  }

  /** Deletes an object without naming a version. @returns the marker; `null` without versioning. */
  delete(bucket: Bucket, key: string, modified: string): DeleteMarker | null {
    if (bucket.versioning === undefined) {
      for (const version of this.versionsOf(bucket.name, key)) this.drop(bucket.name, version);
      return null;
    }
    return this.#add(bucket, { key, modified, ...this.#newVersion(bucket), isDeleteMarker: true });
  }

  /** Changes the tags or other properties of a version. */
  update(bucket: string, object: StoredObject): void {
    const versions = this.versionsOf(bucket, object.key);
    this.#write(bucket, object);
    this.#set(
      bucket,
      object.key,
      versions.map((version) => (version.versionId === object.versionId ? object : version)),
    );
  }

  /** Removes one version for good. */
  drop(bucket: string, { key, versionId }: StoredVersion): void {
    const versions = this.versionsOf(bucket, key);
    const dropped = versions.filter((version) => version.versionId === versionId);
    this.#set(
      bucket,
      key,
      versions.filter((version) => version.versionId !== versionId),
    );
    for (const version of dropped) {
      rmSync(this.#fileOf(bucket, version));
      for (const file of filesOf(version)) rmSync(file, { force: true });
    }
  }

  #keysAfter(bucket: string, after: string): string[] {
    return this.#order.keysAfter(bucket, this.#buckets.get(bucket)?.keys() ?? [], after);
  }

  #newVersion({ versioning }: Bucket) {
    const versionId = versioning === 'Enabled' ? randomBytes(16).toString('hex') : UNVERSIONED;
    return { versionId, sequence: ++this.#sequence };
  }

  /** Only the version without an id of its own is replaced. */
  #add<Version extends StoredVersion>({ name }: Bucket, version: Version): Version {
    const others = this.versionsOf(name, version.key).filter(({ versionId }) => versionId !== version.versionId);
    const replaced = this.versionsOf(name, version.key).filter((other) => !others.includes(other));
    this.#write(name, version);
    this.#set(name, version.key, [version, ...others]);
    const kept = new Set(filesOf(version));
    for (const file of replaced.flatMap(filesOf)) if (!kept.has(file)) rmSync(file, { force: true });
    return version;
  }

  #set(bucket: string, key: string, versions: Versions): void {
    const keys = this.#buckets.get(bucket) ?? new Map<string, Versions>();
    if (keys.has(key) !== versions.length > 0) this.#order.forget(bucket);
    if (versions.length === 0) keys.delete(key);
    else keys.set(key, versions);
    this.#buckets.set(bucket, keys);
  }

  #write(bucket: string, object: StoredVersion): void {
    writeFileAtomically(this.#fileOf(bucket, object), JSON.stringify({ bucket, object }));
  }

  #fileOf(bucket: string, { key, versionId }: StoredVersion): string {
    const name = versionId === UNVERSIONED ? `${bucket}/${key}` : `${bucket}/${key}?${versionId}`;
    return join(this.#directory, `${createHash('sha256').update(name).digest('hex')}.json`);
  }
}

const newestFirst = (a: StoredVersion, b: StoredVersion): number => b.sequence - a.sequence;

const filesOf = (version: StoredVersion): string[] =>
  version.isDeleteMarker ? [] : version.parts.map(({ file }) => file);
