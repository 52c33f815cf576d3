/**
 * Claims on snapshots. A run takes a claim by a conditional write, renews it while it works, and can take over the claim
 * of a run that has died. Only the clock of the store decides whether a claim has expired, so that a machine with a wrong
 * clock cannot take over a live claim.
 */
import {
  type Claim,
  type ClaimProgress,
  claimKey,
  decodeClaim,
  encodeClaim,
  type Holder,
  lifeOfUnknown,
  newClaim,
  untimedClaim,
} from '../../archive/claim.ts';
import type { ArchiveStore, SmallObject, Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { monotonic, sleep } from '../../lib/clock.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import { wholeSecond } from '../../lib/instant.ts';
import { isKnownDead, isOnThisMachine } from '../../lib/process-identity.ts';

export interface ClaimOrder {
  snapshot: Pick<Snapshot, 'id' | 'volumeId' | 'tags'>;
  prefix: string;
  command: string;
  tagKey: string;
  holder: Holder;
  lifeSeconds: number;
}

/** An existing claim in the bucket. */
export interface FoundClaim {
  key: string;
  etag: string;
  /** `null` if this version cannot parse it. */
  claim: Claim | null;
  /** Whether its run may still be working. */
  isLive: boolean;
  /** Seconds after which it expires without renewal. */
  lifeSeconds: number;
  /** Seconds since the last renewal, by the clock of the store. */
  ageSeconds: number;
}

const isRefusal = (error: unknown): boolean => error instanceof SnapError && error.code === 'ARCHIVE_EXISTS';

/** @returns `null` if there is no claim. @throws SnapError the errors of the store. */
export async function findClaim(key: string, store: ArchiveStore, signal: AbortSignal): Promise<FoundClaim | null> {
  try {
    return judge(key, await store.getSmall(key, { signal }));
  } catch (error) {
    if (error instanceof SnapError && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

function judge(key: string, { etag, body, modifiedAt, answeredAt }: SmallObject): FoundClaim {
  const claim = decodeClaim(body, modifiedAt);
  const lifeSeconds = claim?.lifeSeconds ?? lifeOfUnknown(body);
  const ageSeconds = (answeredAt.getTime() - modifiedAt.getTime()) / 1000;
  const isAbandoned = claim !== null && (claim.holder === null || isKnownDead(claim.holder));
  return { key, etag, claim, isLive: !isAbandoned && ageSeconds <= lifeSeconds, lifeSeconds, ageSeconds };
}

/**
 * Takes the claim of a snapshot if there is none, or takes over one that was abandoned or has expired.
 * @throws SnapError `CLAIMED` if another run holds a live claim.
 */
export async function takeClaim(order: ClaimOrder, store: ArchiveStore, signal: AbortSignal): Promise<HeldClaim> {
  const key = claimKey(order.prefix, order.snapshot.id);
  const found = await findClaim(key, store, signal);
  if (found?.isLive) throw claimed(order.snapshot.id, found);
  const left = found?.claim ?? null;
  const claim = {
    snapshot: order.snapshot.id,
    volume: order.snapshot.volumeId,
    command: order.command,
    holder: order.holder,
    renewal: (left?.renewal ?? 0) + 1,
    lifeSeconds: order.lifeSeconds,
    tagBefore: left ? left.tagBefore : (order.snapshot.tags[order.tagKey] ?? null),
    progress: left?.progress ?? null,
  };
  try {
    const body = encodeClaim(left ? newClaim({ ...claim, takenAt: left.takenAt }) : untimedClaim(claim));
    const { etag, answeredAt } = await store.putSmall(factsOf(key), body, found?.etag ?? null, { signal });
    // S3 truncates times to whole seconds, so the claim must not seem to be newer than objects of the same second.
    const takenAt = left?.takenAt ?? wholeSecond(answeredAt).toISOString();
    return new HeldClaim(key, etag, newClaim({ ...claim, takenAt }), store, found !== null);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    throw claimed(order.snapshot.id, await findClaim(key, store, signal));
  }
}

const factsOf = (key: string) => ({ key, metadata: {}, tags: {} });

function claimed(snapshotId: string, found: FoundClaim | null): SnapError {
  const holder = found?.claim?.holder;
  const who = holder ? `process ${holder.pid} on ${holder.host}` : unknownHolder(found);
  const rest = found ? Math.max(0, Math.ceil(found.lifeSeconds - found.ageSeconds)) : null;
  return new SnapError('CLAIMED', `${snapshotId} is claimed by ${who}`, {
    hint:
      rest === null
        ? 'wait until that run has finished'
        : `wait until that run has finished; if it has died, its claim expires in ${rest} s`,
  });
}

const unknownHolder = (found: FoundClaim | null): string =>
  found && !found.claim ? `a run whose claim this version cannot read (${found.key})` : 'another run';

/** A claim of this process, which is renewed in the background until it is released. */
export class HeldClaim {
  readonly key: string;
  /** Whether it was taken over from an interrupted run. */
  readonly isTakenOver: boolean;
  readonly #store: ArchiveStore;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  #claim: Claim;
  #etag: string;
  #renewedAt = monotonic();
  /** Serializes the writes, because each one is conditional on the ETag of the previous one. */
  #writing: Promise<void> = Promise.resolve();
  readonly #renewing: Promise<void>;

  constructor(key: string, etag: string, claim: Claim, store: ArchiveStore, isTakenOver: boolean) {
    this.key = key;
    this.#etag = etag;
    this.#claim = claim;
    this.#store = store;
    this.isTakenOver = isTakenOver;
    this.#renewing = this.#renew();
  }

  /** Is aborted with SnapError `CLAIM_LOST` when the claim is lost. The work must then stop and change nothing more. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get content(): Claim {
    return this.#claim;
  }

  get tagBefore(): string | null {
    return this.#claim.tagBefore;
  }

  get progress(): ClaimProgress | null {
    return this.#claim.progress;
  }

  /** Call it before anything becomes visible to other runs. @throws SnapError `CLAIM_LOST` if the claim is not certain. */
  confirm(): void {
    if (monotonic() - this.#renewedAt > this.#maxRenewalGap) this.#lose('it was not renewed in time');
    this.#lost.signal.throwIfAborted();
  }

  /** Stores the progress in the claim. @throws SnapError `CLAIM_LOST`, or the errors of the store. */
  async saveProgress(progress: ClaimProgress): Promise<void> {
    await this.#write((claim) => ({ ...claim, progress }));
  }

  /**
   * Removes the progress from the claim. Call it when nothing is left to resume: the archive is complete, or what the
   * progress records is removed. @throws SnapError `CLAIM_LOST`, or the errors of the store.
   */
  async forgetProgress(): Promise<void> {
    await this.#write((claim) => ({ ...claim, progress: null }));
  }

  /** Releases the claim. If it records stored objects or uploads, it remains without a holder for the next run. */
  async release(): Promise<void> {
    this.#ended.abort();
    await this.#renewing;
    await this.#writing;
    if (this.#lost.signal.aborted) return;
    const { progress } = this.#claim;
    if (progress && (progress.objects.length > 0 || progress.uploads.length > 0)) {
      await this.#write((claim) => ({ ...claim, holder: null }));
    } else {
      await this.#store.removeIf(this.key, this.#etag, { signal: cleanupSignal() });
    }
  }

  /** Whether the current holder of the claim is a process on this machine. */
  async isHeldHere(): Promise<boolean> {
    const found = await findClaim(this.key, this.#store, cleanupSignal());
    return found?.claim?.holder ? isOnThisMachine(found.claim.holder) : false;
  }

  /** Milliseconds without renewal after which the claim counts as lost: two thirds of the time until it expires. */
  get #maxRenewalGap(): number {
    return (this.#claim.lifeSeconds * 2000) / 3;
  }

  /** Does not wait for a slow renewal; only the time of the last successful one counts. */
  async #renew(): Promise<void> {
    let isRenewing = false;
    for (;;) {
      try {
        await sleep(this.#maxRenewalGap / 2, this.#ended.signal);
        this.confirm();
      } catch {
        return;
      }
      if (isRenewing) continue;
      isRenewing = true;
      void this.#write((claim) => claim)
        .catch(() => {})
        .finally(() => {
          isRenewing = false;
        });
    }
  }

  #write(change: (claim: Claim) => Claim): Promise<void> {
    const done = this.#writing.then(() => this.#writeNow(change));
    this.#writing = done.catch(() => {});
    return done;
  }

  async #writeNow(change: (claim: Claim) => Claim): Promise<void> {
    this.#lost.signal.throwIfAborted();
    const claim = { ...change(this.#claim), renewal: this.#claim.renewal + 1 };
    const began = monotonic();
    try {
      const signal = cleanupSignal();
      const { etag } = await this.#store.putSmall(factsOf(this.key), encodeClaim(claim), this.#etag, { signal });
      this.#etag = etag;
      this.#claim = claim;
      this.#renewedAt = began;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#lose('another run took it over');
      this.#lost.signal.throwIfAborted();
    }
  }

  #lose(why: string): void {
    const error = new SnapError('CLAIM_LOST', `the claim on ${this.#claim.snapshot} was lost: ${why}`, {
      hint: 'this run stopped and recorded nothing as complete; unless another run completes the snapshot, run the same command again',
    });
    this.#lost.abort(error);
  }
}

/**
 * Waits until a claim is released, expires or is renewed, which takes at most the life of the claim.
 * @returns whether the snapshot may be free now.
 */
export async function awaitEndOfClaim(key: string, store: ArchiveStore, signal: AbortSignal): Promise<boolean> {
  const first = await findClaim(key, store, signal);
  for (let found = first; found?.isLive; found = await findClaim(key, store, signal)) {
    if (found.etag !== first?.etag) return false;
    await sleep(Math.max(500, Math.min(found.lifeSeconds * 50, 15_000)), signal);
  }
  return true;
}
