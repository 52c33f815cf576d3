/** The journal of a migration: what interrupted runs have left in the bucket, and what this run has stored so far. */
import { createHash } from 'node:crypto';
import type { ClaimProgress, UploadCheckpoint, UploadNote } from '../../archive/claim.ts';
import { type ArchiveName, keyStem, manifestKey, parseAnyKey } from '../../archive/key.ts';
import { lockInNote, noteOfLock } from '../../archive/lock-note.ts';
import { type ManifestObject, publicObject } from '../../archive/manifest.ts';
import { objectTags } from '../../archive/tags.ts';
import type { ObjectLock } from '../../cloud/object-lock.ts';
import type { ObjectFacts, ObjectHead, Snapshot } from '../../cloud/ports.ts';
import { Interrupted, SnapError } from '../../errors.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import { VERSION } from '../../version.ts';
import { readManifest } from '../reading/find-archive.ts';
import type { Services } from '../shared/services.ts';
import type { MigrateSettings } from '../shared/settings/migrate.ts';
import type { HeldClaim } from '../sharing/claims.ts';
import { isLongEnough, type LockTerms, lockOfArchive, lockProblem } from './locks.ts';
import type { UploadJournal } from './object/object-order.ts';

/**
 * Maximum number of recorded checkpoints. They are at least 256 MiB of the disk apart, so that this many reach back
 * beyond the parts in flight.
 */
const KEPT_CHECKPOINTS = 8;

interface JournalOrder {
  snapshot: Snapshot;
  settings: MigrateSettings;
  services: Services;
  signal: AbortSignal;
  claim: HeldClaim;
  lockTerms: LockTerms | null;
}

/** Resumes from the progress in the claim. Only the journal saves progress; `clean` also forgets it. */
export class MigrationJournal {
  /**
   * The lock of the objects of an archive that is no point: that of the interrupted run whose work is resumed, otherwise a
   * new one.
   */
  readonly lock: ObjectLock | null;
  readonly #claim: HeldClaim;
  readonly #services: Services;
  readonly #signal: AbortSignal;
  readonly #snapshotId: string;
  readonly #name: ArchiveName;
  readonly #before: ClaimProgress | null;
  readonly #lockTerms: LockTerms | null;
  readonly #fingerprint: string;
  #now: ClaimProgress;
  #isNoting = false;
  #isNoteWanted = false;

  constructor({ snapshot, settings, services, signal, claim, lockTerms }: JournalOrder) {
    const fingerprint = fingerprintOf(snapshot, settings, services);
    this.#snapshotId = snapshot.id;
    this.#name = { ...snapshot, ...settings, snapshotId: snapshot.id };
    this.#claim = claim;
    this.#services = services;
    this.#signal = signal;
    this.#before = claim.progress;
    this.#lockTerms = lockTerms;
    this.#fingerprint = fingerprint;
    this.lock = this.#isUsable() ? this.#lockBefore() : lockTerms && lockOfArchive(lockTerms);
    this.#now = { fingerprint, objects: [], uploads: [], ...(this.lock ? { lock: noteOfLock(this.lock) } : {}) };
  }

  /**
   * Returns an object that this run, or an earlier one with the same settings, has completed, if the bucket still has
   * exactly this object. It stays in the journal.
   */
  async keep(key: string): Promise<ManifestObject | null> {
    const before = this.#isUsable() ? (this.#before?.objects ?? []) : [];
    const object = [...this.#now.objects, ...before].find((known) => known.key === key);
    if (!object) return null;
    const head = await this.#services.store.head(key, { signal: this.#signal });
    // Without its index, the object is stored again, because the index cannot be built from stored bytes.
    if (head?.etag !== object.etag || head.bytes !== object.storedBytes || !object.index) return null;
    if (!(await this.#isLocked(head, object.index.key))) return null;
    const { host } = this.#services;
    const { plainBytes, storedBytes } = object;
    host.notify({ code: 'object.kept', snapshot: this.#snapshotId, key, plainBytes, storedBytes });
    await this.#record(object);
    return object;
  }

  /** Whether an object and its index have the lock that the manifest will promise. */
  async #isLocked(head: ObjectHead, indexKey: string): Promise<boolean> {
    const { lock } = this;
    if (lock === null) return true;
    const index = await this.#services.store.head(indexKey, { signal: this.#signal });
    return [head, index].every((found) => found !== null && lockProblem(found, lock) === null);
  }

  /** Call it if the work failed or was stopped. Completed objects stay in the journal; uploads only if they are left. */
  async suspend(): Promise<void> {
    if (this.#claim.lost.aborted || this.#leavesUploads()) return;
    await this.#note(this.#now.objects.length > 0 ? { ...this.#now, uploads: [] } : null);
  }

  /** Call it when the archive is complete. It aborts all uploads of the snapshot, even those of runs with other settings. */
  async finish(): Promise<void> {
    const takenAt = new Date(this.#claim.content.takenAt);
    const call = { signal: cleanupSignal() };
    for (const { key, uploadId, initiatedAt } of await this.#services.store.unfinishedUploads(
      keyStem(this.#name),
      call,
    )) {
      const isOurs = parseAnyKey(key)?.snapshotId === this.#snapshotId && initiatedAt >= takenAt;
      if (isOurs) await this.#services.store.object({ key, metadata: {}, tags: {} }).abort(uploadId, call);
    }
    await this.#note(null);
  }

  /**
   * Aborts uploads of this key that cannot be used.
   * @param obstacle why no upload can be resumed, as a clause; `null` if a second run produces the same bytes.
   */
  async journalFor(facts: ObjectFacts, obstacle: string | null): Promise<UploadJournal> {
    const resume = await this.#findUpload(facts, obstacle);
    return {
      resume,
      uploadStarted: async (uploadId, from) => {
        const checkpoints = from.parts > 0 ? [from] : [];
        const note = { key: facts.key, uploadId, checkpoints };
        this.#now = { ...this.#now, uploads: [...this.#uploadsBut(facts.key), note] };
        await this.#note(this.#now);
      },
      reached: (checkpoint) => this.#reach(facts.key, checkpoint),
      confirm: () => this.#claim.confirm(),
      completed: () => this.#retireManifest(facts.key),
      stored: (object) => this.#record(object),
      leave: () => this.#claim.lost.aborted || this.#leavesUploads(),
    };
  }

  /** Call it when an upload is complete, if its object is not recorded. The next write of the journal omits it. */
  forgetUpload(key: string): void {
    this.#now = { ...this.#now, uploads: this.#uploadsBut(key) };
  }

  /** Omits the sealed facts of encrypted archives. */
  async #record(object: ManifestObject): Promise<void> {
    const open = object.cipher === 'none' ? object : publicObject(object);
    const others = this.#now.objects.filter(({ key }) => key !== object.key);
    this.#now = { ...this.#now, objects: [...others, open], uploads: this.#uploadsBut(object.key) };
    await this.#note(this.#now);
  }

  /** Replaces pending writes of checkpoints, because `progress` includes them or makes them useless. */
  #note(progress: ClaimProgress | null): Promise<void> {
    this.#isNoteWanted = false;
    return progress === null ? this.#claim.forgetProgress() : this.#claim.saveProgress(progress);
  }

  #reach(key: string, checkpoint: UploadCheckpoint): void {
    const upload = this.#now.uploads.find((noted) => noted.key === key);
    if (!upload) return;
    const checkpoints = [...upload.checkpoints, checkpoint].slice(-KEPT_CHECKPOINTS);
    this.#now = { ...this.#now, uploads: [...this.#uploadsBut(key), { ...upload, checkpoints }] };
    this.#isNoteWanted = true;
    if (!this.#isNoting) void this.#noteLatest();
  }

  /** Writes the latest state, one write at a time. If a checkpoint is not written, a later run only takes longer. */
  async #noteLatest(): Promise<void> {
    this.#isNoting = true;
    while (this.#isNoteWanted) {
      this.#isNoteWanted = false;
      // Another place reports a lost claim.
      await this.#claim.saveProgress(this.#now).catch(() => {});
    }
    this.#isNoting = false;
  }

  async #findUpload(facts: ObjectFacts, obstacle: string | null): Promise<UploadJournal['resume']> {
    const { store, host } = this.#services;
    const { key } = facts;
    const call = { signal: this.#signal };
    const found = (await store.unfinishedUploads(key, call)).filter((upload) => upload.key === key);
    const noted = this.#before?.uploads.find((upload) => upload.key === key);
    const reason = obstacle ?? this.#reasonToRestart();
    const parts = store.object(facts);
    let resume: UploadJournal['resume'] = null;
    for (const { uploadId } of found) {
      if (uploadId === noted?.uploadId && !reason) {
        resume = { uploadId, parts: await parts.parts(uploadId, call), checkpoints: noted.checkpoints };
      } else await parts.abort(uploadId, call);
    }
    if (reason && found.length > 0) {
      host.notify({ code: 'upload.restarted', snapshot: this.#snapshotId, key, reason });
    }
    return resume;
  }

  #uploadsBut(key: string): UploadNote[] {
    return this.#now.uploads.filter((noted) => noted.key !== key);
  }

  /**
   * Removes the manifest of an older archive after one of its objects was replaced, because that archive is then no longer
   * complete. It is not removed earlier, because a failed upload leaves the older archive intact. It is not removed for an
   * object with another key either: the older archive then stays intact until the new manifest replaces the old one.
   */
  async #retireManifest(key: string): Promise<void> {
    const { store } = this.#services;
    const call = { signal: cleanupSignal() };
    const oldKey = manifestKey(this.#name);
    const head = await store.head(oldKey, call);
    if (head && (await this.#isNamed(key, oldKey))) await store.removeIf(oldKey, head.etag, call);
  }

  /** Whether the old manifest names the key. A manifest that cannot be read may name it. */
  async #isNamed(key: string, oldKey: string): Promise<boolean> {
    try {
      const { manifest } = await readManifest(oldKey, this.#snapshotId, this.#services.store, cleanupSignal());
      return manifest?.content.objects.some((object) => object.key === key) ?? false;
    } catch (error) {
      if (error instanceof SnapError && error.code === 'MANIFEST') return true;
      throw error;
    }
  }

  /** Uploads are left for the next run if AWS stops this machine, but not if a user stops the work. */
  #leavesUploads(): boolean {
    return this.#signal.reason instanceof Interrupted && this.#signal.reason.isShutdown;
  }

  #reasonToRestart(): string | null {
    if (this.#isUsable()) return null;
    if (this.#before?.fingerprint === this.#fingerprint) return 'its lock would end too early';
    return 'the settings or the version of the program have changed';
  }

  #isUsable(): boolean {
    if (this.#before?.fingerprint !== this.#fingerprint) return false;
    const lock = this.#lockBefore();
    return this.#lockTerms === null || (lock !== null && isLongEnough(lock, this.#lockTerms));
  }

  #lockBefore(): ObjectLock | null {
    return lockInNote(this.#before?.lock);
  }
}

/** A hash of all settings that determine the stored bytes and the properties of the objects. */
function fingerprintOf(snapshot: Snapshot, settings: MigrateSettings, { store }: Services): string {
  const { layout, codec, encryption, replayJournals, prefix, tagKey, lock } = settings;
  const facts = {
    layout,
    codec,
    encryption,
    replayJournals,
    prefix,
    tagKey,
    ...(lock === null ? {} : { lock }),
    creation: store.creationSettings,
    VERSION,
  };
  const { tags } = objectTags(snapshot.tags, tagKey);
  return createHash('sha256')
    .update(JSON.stringify({ ...facts, tags, description: snapshot.description }))
    .digest('hex');
}
