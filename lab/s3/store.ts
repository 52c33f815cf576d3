/** Stores buckets, objects and unfinished uploads. Objects are lists of part files, so completion copies nothing. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../core/files.ts';
import type { Algorithm, Checksum, ChecksumType } from './checksums.ts';

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

export interface StoredObject extends ObjectHead {
  key: string;
  etag: string;
  bytes: number;
  modified: string;
  parts: StoredPart[];
  checksum: Checksum | null;
  uploadId: string | null;
  restore: { readyAt: string; expires: string } | null;
}

export interface Upload extends ObjectHead {
  id: string;
  bucket: string;
  key: string;
  initiated: string;
  checksum: { algorithm: Algorithm; type: ChecksumType } | null;
  parts: Record<string, StoredPart>;
}

interface Listed {
  keyBytes: Buffer;
  object: StoredObject;
}

const inOrder = (objects: Iterable<StoredObject>): Listed[] =>
  Array.from(objects, (object) => ({ keyBytes: Buffer.from(object.key), object })).sort((a, b) =>
    Buffer.compare(a.keyBytes, b.keyBytes),
  );

/** Counts the objects whose keys do not follow `key`, by halving. */
function countUpTo(listed: readonly Listed[], key: Buffer): number {
  let [low, high] = [0, listed.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const found = listed[middle];
    if (found && Buffer.compare(found.keyBytes, key) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class S3Store {
  readonly #directory: string;
  readonly #buckets = new Map<string, Bucket>();
  readonly #objects = new Map<string, Map<string, StoredObject>>();
  readonly #uploads = new Map<string, Upload>();
  /** The objects of buckets in the order of a listing, until they change. A listing has many pages. */
  readonly #listings = new Map<string, readonly Listed[]>();

  constructor(directory: string) {
    this.#directory = directory;
    for (const folder of ['buckets', 'objects', 'uploads', 'parts'])
      mkdirSync(join(directory, folder), { recursive: true });
    this.#load();
  }

  get buckets(): Bucket[] {
    return [...this.#buckets.values()];
  }

  get uploads(): Upload[] {
    return [...this.#uploads.values()];
  }

  bucket(name: string): Bucket | undefined {
    return this.#buckets.get(name);
  }

  saveBucket(bucket: Bucket): void {
    this.#buckets.set(bucket.name, bucket);
    writeFileAtomically(join(this.#directory, 'buckets', `${bucket.name}.json`), JSON.stringify(bucket));
  }

  dropBucket(name: string): void {
    this.#buckets.delete(name);
    this.#objects.delete(name);
    this.#listings.delete(name);
    rmSync(join(this.#directory, 'buckets', `${name}.json`));
  }

  /** Returns the objects after a key in the order in which S3 lists them: by the UTF-8 bytes of their keys. */
  objects(bucket: string, after = ''): StoredObject[] {
    const listed = this.#listings.get(bucket) ?? inOrder(this.#objects.get(bucket)?.values() ?? []);
    this.#listings.set(bucket, listed);
    return listed.slice(countUpTo(listed, Buffer.from(after))).map(({ object }) => object);
  }

  object(bucket: string, key: string): StoredObject | undefined {
    return this.#objects.get(bucket)?.get(key);
  }

  /** Publishes an object. It replaces the previous object with the key. */
  saveObject(bucket: string, object: StoredObject): void {
    const replaced = this.object(bucket, object.key);
    const objects = this.#objects.get(bucket) ?? new Map<string, StoredObject>();
    objects.set(object.key, object);
    this.#objects.set(bucket, objects);
    this.#listings.delete(bucket);
    writeFileAtomically(this.#objectFile(bucket, object.key), JSON.stringify({ bucket, object }));
    const kept = new Set(object.parts.map(({ file }) => file));
    this.#dropFiles((replaced?.parts ?? []).filter(({ file }) => !kept.has(file)));
  }

  dropObject(bucket: string, key: string): void {
    const object = this.object(bucket, key);
    if (!object) return;
    this.#objects.get(bucket)?.delete(key);
    this.#listings.delete(bucket);
    rmSync(this.#objectFile(bucket, key));
    this.#dropFiles(object.parts);
  }

  upload(id: string): Upload | undefined {
    return this.#uploads.get(id);
  }

  saveUpload(upload: Upload): void {
    this.#uploads.set(upload.id, upload);
    writeFileAtomically(this.#uploadFile(upload.id), JSON.stringify(upload));
  }

  /** @param keep parts that now belong to an object. */
  dropUpload(upload: Upload, keep: readonly StoredPart[]): void {
    this.#uploads.delete(upload.id);
    rmSync(this.#uploadFile(upload.id));
    const kept = new Set(keep.map(({ file }) => file));
    this.#dropFiles(Object.values(upload.parts).filter(({ file }) => !kept.has(file)));
  }

  newPartFile(): string {
    return join(this.#directory, 'parts', randomUUID());
  }

  dropFile(file: string): void {
    rmSync(file, { force: true });
  }

  #dropFiles(parts: readonly StoredPart[]): void {
    for (const { file } of parts) this.dropFile(file);
  }

  #objectFile(bucket: string, key: string): string {
    return join(this.#directory, 'objects', `${createHash('sha256').update(`${bucket}/${key}`).digest('hex')}.json`);
  }

  #uploadFile(id: string): string {
    return join(this.#directory, 'uploads', `${id}.json`);
  }

  #load(): void {
    for (const bucket of this.#documents<Bucket>('buckets')) this.#buckets.set(bucket.name, bucket);
    for (const { bucket, object } of this.#documents<{ bucket: string; object: StoredObject }>('objects')) {
      const objects = this.#objects.get(bucket) ?? new Map<string, StoredObject>();
      this.#objects.set(bucket, objects.set(object.key, object));
    }
    for (const upload of this.#documents<Upload>('uploads')) this.#uploads.set(upload.id, upload);
    this.#dropOrphans();
  }

  #documents<T>(folder: string): T[] {
    const directory = join(this.#directory, folder);
    return readdirSync(directory)
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as T);
  }

  /** Removes files of requests that a killed lab did not finish. */
  #dropOrphans(): void {
    const known = new Set<string>();
    for (const objects of this.#objects.values())
      for (const { parts } of objects.values()) for (const { file } of parts) known.add(file);
    for (const { parts } of this.#uploads.values()) for (const { file } of Object.values(parts)) known.add(file);
    for (const name of readdirSync(join(this.#directory, 'parts'))) {
      const file = join(this.#directory, 'parts', name);
      if (!known.has(file) && existsSync(file)) rmSync(file);
    }
  }
}
