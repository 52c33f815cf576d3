/** The report of a run: the outcome of each snapshot, collected from the events. */
import { pricesIn } from '../../costs/prices.ts';
import type { SnapError } from '../../errors.ts';
import type { SnapEvent, SnapshotOutcome } from '../../events.ts';
import { now } from '../../lib/clock.ts';
import { GiB } from '../../lib/units.ts';

export interface ReportRow {
  snapshot: string;
  outcome: SnapshotOutcome | 'skipped' | 'running';
  /** Plain bytes that this run stored or, if it stored nothing, compared. */
  plainBytes: number;
  storedBytes: number;
  /** The part of `storedBytes` that earlier runs had uploaded. */
  savedBytes: number;
  /** Bytes that this run restored, including the zeros of images. */
  restoredBytes: number;
  /** Bytes that this run read from the bucket for the restore. */
  fetchedBytes: number;
  seconds: number;
  /** Monthly storage cost of the stored objects in US dollars at list prices; `null` if nothing was stored. */
  dollarsMonth: number | null;
  /** `null` if the archive was not compared. */
  differenceCount: number | null;
  /** Why the snapshot failed or was skipped. */
  reason: string | null;
  errorCode: string | null;
  hint: string | null;
}

export interface RunReport {
  format: 1;
  /** `unfinished`: the run is in progress, was refused before it started, or was killed. */
  state: 'unfinished' | 'finished';
  command: string | null;
  /** The region whose S3 prices are used; `null` if the run stores nothing. */
  priceRegion: string | null;
  startedAt: string;
  finishedAt: string | null;
  snapshots: ReportRow[];
}

export class ReportBuilder {
  readonly #storageClass: string | null;
  #price: number | null = null;
  readonly #rows = new Map<string, ReportRow>();
  readonly #report: Omit<RunReport, 'snapshots'> = {
    format: 1,
    state: 'unfinished',
    command: null,
    priceRegion: null,
    startedAt: now().toISOString(),
    finishedAt: null,
  };

  /** @param storageClass storage class of the objects that the run stores; `null` if it stores none. */
  constructor(storageClass: string | null) {
    this.#storageClass = storageClass;
  }

  get report(): RunReport {
    return { ...this.#report, snapshots: [...this.#rows.values()] };
  }

  hear(event: SnapEvent): void {
    switch (event.code) {
      case 'run.started':
        this.#report.command = event.command;
        this.#report.priceRegion = event.priceRegion;
        this.#price = this.#priceIn(event.priceRegion);
        for (const snapshot of event.snapshots) this.#row(snapshot);
        break;
      case 'run.finished':
        this.#report.state = 'finished';
        this.#report.finishedAt = now().toISOString();
        break;
      case 'object.stored':
        this.#add(event.snapshot, event);
        break;
      case 'object.restored':
        this.#addRestored(this.#row(event.snapshot), event);
        break;
      case 'object.kept':
        this.#add(event.snapshot, { ...event, savedBytes: event.storedBytes });
        break;
      case 'upload.resumed':
        this.#add(event.snapshot, { savedBytes: event.bytes });
        break;
      case 'snapshot.validated':
        this.#addProof(this.#row(event.snapshot), event);
        break;
      case 'snapshot.skipped':
        Object.assign(this.#row(event.snapshot), { outcome: 'skipped', reason: event.reason });
        break;
      case 'snapshot.finished':
        this.#end(this.#row(event.snapshot), event.outcome, event.seconds, event.error);
        break;
      default:
    }
  }

  #priceIn(region: string | null): number | null {
    if (region === null || this.#storageClass === null) return null;
    return pricesIn(region).s3[this.#storageClass]?.gbMonth ?? null;
  }

  #row(snapshot: string): ReportRow {
    const row = this.#rows.get(snapshot) ?? newRow(snapshot);
    this.#rows.set(snapshot, row);
    return row;
  }

  #add(snapshot: string, amounts: { plainBytes?: number; storedBytes?: number; savedBytes?: number }): void {
    const row = this.#row(snapshot);
    row.plainBytes += amounts.plainBytes ?? 0;
    row.storedBytes += amounts.storedBytes ?? 0;
    row.savedBytes += amounts.savedBytes ?? 0;
    row.dollarsMonth = this.#price === null ? null : (this.#price * row.storedBytes) / GiB;
  }

  #addRestored(row: ReportRow, { bytes, fetchedBytes }: Extract<SnapEvent, { code: 'object.restored' }>): void {
    row.restoredBytes += bytes;
    row.fetchedBytes += fetchedBytes;
  }

  #addProof(row: ReportRow, { differenceCount, bytes }: Extract<SnapEvent, { code: 'snapshot.validated' }>): void {
    row.differenceCount = differenceCount;
    if (row.plainBytes === 0) row.plainBytes = bytes;
  }

  #end(row: ReportRow, outcome: ReportRow['outcome'], seconds: number, error: SnapError | undefined): void {
    const reason = error?.message ?? null;
    Object.assign(row, { outcome, seconds, reason, errorCode: error?.code ?? null, hint: error?.hint ?? null });
  }
}

const newRow = (snapshot: string): ReportRow => ({
  snapshot,
  outcome: 'running',
  plainBytes: 0,
  storedBytes: 0,
  savedBytes: 0,
  restoredBytes: 0,
  fetchedBytes: 0,
  seconds: 0,
  dollarsMonth: null,
  differenceCount: null,
  reason: null,
  errorCode: null,
  hint: null,
});
