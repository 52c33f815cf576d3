/** Stores buckets, objects and unfinished uploads. Objects are lists of part files, so completion copies nothing. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../../core/files.ts';
import type { Bucket, StoredPart, Upload } from './model.ts';
import { ObjectShelf, type VersionDocument } from './objects.ts';

export class S3Store {
  readonly objects: ObjectShelf;
  readonly #directory: string;
  readonly #buckets = new Map<string, Bucket>();
  readonly #uploads = new Map<string, Upload>();

  constructor(directory: string) {
    this.#directory = directory;
    for (const folder of ['buckets', 'objects', 'uploads', 'parts'])
      mkdirSync(join(directory, folder), { recursive: true });
    this.objects = new ObjectShelf(join(directory, 'objects'), this.#documents<VersionDocument>('objects'));
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
    rmSync(join(this.#directory, 'buckets', `${name}.json`));
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

  #uploadFile(id: string): string {
    return join(this.#directory, 'uploads', `${id}.json`);
  }

  #load(): void {
    for (const bucket of this.#documents<Bucket>('buckets')) this.#buckets.set(bucket.name, bucket);
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
    const known = new Set(this.objects.files());
    for (const { parts } of this.#uploads.values()) for (const { file } of Object.values(parts)) known.add(file);
    for (const name of readdirSync(join(this.#directory, 'parts'))) {
      const file = join(this.#directory, 'parts', name);
      if (!known.has(file) && existsSync(file)) rmSync(file);
    }
  }
}
