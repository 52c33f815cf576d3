/**
 * Claims on snapshots: taken by a conditional write, renewed while the work goes on, taken over when their holder is
 * gone. Expiry goes by the store's clock alone, so that a wrong clock of one machine cannot free what another holds.
 */
import {
  type Claim,
  claimKey,
  decodeClaim,
  encodeClaim,
  type Holder,
  lifeOfUnknown,
  newClaim,
  type Progress,
  untimedClaim,
} from '../../archive/claim.ts';
import type { ArchiveStore, SmallObject, Snapshot } from '../../cloud/ports.ts';
import { SnapError } from '../../errors.ts';
import { monotonic, sleep } from '../../lib/clock.ts';
import { cleanupSignal } from '../../lib/disposal.ts';
import { isKnownDead, isOnThisMachine } from '../../lib/process-identity.ts';

export interface ClaimOrder {
  snapshot: Pick<Snapshot, 'id' | 'volumeId' | 'tags'>;
  prefix: string;
  command: string;
  tagKey: string;
  holder: Holder;
  lifeSeconds: number;
}

/** What is known of a claim without taking it. */
export interface FoundClaim {
  key: string;
  etag: string;
  /** `null` when it cannot be understood. */
  claim: Claim | null;
  /** Whether somebody may still be working. */
  isLive: boolean;
  /** That it lives after each renewal. */
  lifeSeconds: number;
  /** Seconds by the store's clock since it was last renewed. */
  ageSeconds: number;
}

const isRefusal = (error: unknown): boolean => error instanceof SnapError && error.code === 'ARCHIVE_EXISTS';

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
  const isGone = claim !== null && (claim.holder === null || isKnownDead(claim.holder));
  return { key, etag, claim, isLive: !isGone && ageSeconds <= lifeSeconds, lifeSeconds, ageSeconds };
}

/**
 * Takes the claim of a snapshot, from nobody or from somebody who is gone.
 * @throws SnapError `CLAIMED` when somebody works on the snapshot.
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
    const takenAt = left?.takenAt ?? wholeSecond(answeredAt).toISOString();
    return new HeldClaim(key, etag, newClaim({ ...claim, takenAt }), store, found !== null);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    throw claimed(order.snapshot.id, await findClaim(key, store, signal));
  }
}

/** As the store tells times: what is stored in the same second is not older. */
const wholeSecond = (time: Date): Date => new Date(Math.floor(time.getTime() / 1000) * 1000);

const factsOf = (key: string) => ({ key, metadata: {}, tags: {} });

function claimed(snapshotId: string, found: FoundClaim | null): SnapError {
  const holder = found?.claim?.holder;
  const who = holder ? `process ${holder.pid} on ${holder.host}` : whoever(found);
  const rest = found ? Math.max(0, Math.ceil(found.lifeSeconds - found.ageSeconds)) : null;
  return new SnapError('CLAIMED', `${snapshotId} is being worked on by ${who}`, {
    hint: rest === null ? 'wait until it has ended' : `if that run is gone, its claim ends in ${rest} s unless renewed`,
  });
}

/** Of a claim that cannot be understood, nothing but its age is known. */
const whoever = (found: FoundClaim | null): string =>
  found && !found.claim ? `a run whose claim ${found.key} cannot be read by this version` : 'another run';

/** Renewed in the background until it is given up. */
export class HeldClaim {
  readonly key: string;
  /** Whether it was left by a run that did not end well. */
  readonly isTakenOver: boolean;
  readonly #store: ArchiveStore;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  #claim: Claim;
  #etag: string;
  #renewedAt = monotonic();
  /** Writes follow one another: each names the ETag of the one before. */
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

  /** Fires when the claim is lost, with SnapError `CLAIM_LOST`; the work must end then, and touch nothing more. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get content(): Claim {
    return this.#claim;
  }

  get tagBefore(): string | null {
    return this.#claim.tagBefore;
  }

  get progress(): Progress | null {
    return this.#claim.progress;
  }

  /** To be asked before anything becomes visible. @throws SnapError `CLAIM_LOST` */
  confirm(): void {
    if (monotonic() - this.#renewedAt > this.#patience) this.#lose('it was not renewed in time');
    this.#lost.signal.throwIfAborted();
  }

  /** @throws SnapError `CLAIM_LOST`, or the store's own */
  async note(progress: Progress | null): Promise<void> {
    await this.#write((claim) => ({ ...claim, progress }));
  }

  /** Gives it up; what has been stored without being a whole archive is left on record for the next run. */
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

  /** Whether who holds it now works on this very machine. */
  async isHeldHere(): Promise<boolean> {
    const found = await findClaim(this.key, this.#store, cleanupSignal());
    return found?.claim?.holder ? isOnThisMachine(found.claim.holder) : false;
  }

  /** Milliseconds without a renewal after which the work ends: sooner than anybody else may take it over. */
  get #patience(): number {
    return (this.#claim.lifeSeconds * 2000) / 3;
  }

  /** A renewal that takes its time is not waited for: what counts is when the last one succeeded. */
  async #renew(): Promise<void> {
    let isUnderWay = false;
    for (;;) {
      try {
        await sleep(this.#patience / 2, this.#ended.signal);
        this.confirm();
      } catch {
        return;
      }
      if (isUnderWay) continue;
      isUnderWay = true;
      void this.#write((claim) => claim)
        .catch(() => {})
        .finally(() => {
          isUnderWay = false;
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
      this.#lose('another run has taken it over');
      this.#lost.signal.throwIfAborted();
    }
  }

  #lose(why: string): void {
    const error = new SnapError('CLAIM_LOST', `the claim on ${this.#claim.snapshot} was lost: ${why}`, {
      hint: 'the work was ended and nothing of it counts; if nobody else does it, run the same command again',
    });
    this.#lost.abort(error);
  }
}

/**
 * Waits until a claim is given up, expires, or proves to be alive by a renewal: at the most as long as claims live.
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
