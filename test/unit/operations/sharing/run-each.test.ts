/** Work on several snapshots: how runs wait for claims, and how results are counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportTable } from '../../../../src/cli/render/text/report-table.ts';
import { EXIT, Interrupted, SnapError } from '../../../../src/errors.ts';
import { type SnapEvent, silentHost } from '../../../../src/events.ts';
import { ReportBuilder } from '../../../../src/operations/shared/run-report.ts';
import { type EachRun, runEach } from '../../../../src/operations/sharing/run-each.ts';
import { Semaphore } from '../../../../src/operations/sharing/semaphore.ts';

function runOf(items: string[], more: Partial<EachRun<string>>): { run: EachRun<string>; told: SnapEvent[] } {
  const told: SnapEvent[] = [];
  const run: EachRun<string> = {
    command: 'migrate',
    items,
    concurrency: 1,
    idOf: (item) => item,
    refused: [],
    work: async () => 'done',
    mayBeFree: null,
    host: { ...silentHost, notify: (event) => void told.push(event) },
    signal: new AbortController().signal,
    ...more,
  };
  return { run, told };
}

const endOf = (told: readonly SnapEvent[]) => told.find((event) => event.code === 'run.finished');

test('all claims of other runs are waited for at the same time, and free snapshots are processed one by one', async () => {
  const items = ['snap-1', 'snap-2', 'snap-3', 'snap-4'];
  const allAsked = Promise.withResolvers<void>();
  const asked = new Set<string>();
  const tried = new Set<string>();
  let [now, most] = [0, 0];
  const { run, told } = runOf(items, {
    work: async (item) => {
      if (!tried.has(item)) {
        tried.add(item);
        throw new SnapError('CLAIMED', `${item} is being worked on`);
      }
      most = Math.max(most, ++now);
      await new Promise(setImmediate);
      now--;
      return 'done';
    },
    // No call returns before all calls have been made.
    mayBeFree: async (item) => {
      asked.add(item);
      if (asked.size === items.length) allAsked.resolve();
      await allAsked.promise;
      return item !== 'snap-4';
    },
  });
  assert.equal(await runEach(run), EXIT.ok);
  assert.equal(most, 1);
  assert.deepEqual(endOf(told)?.done.toSorted(), ['snap-1', 'snap-2', 'snap-3']);
  assert.deepEqual(endOf(told)?.skipped, ['snap-4']);
});

test('semaphore: limits concurrency, keeps the order of requests, and is released after a failure', async () => {
  const semaphore = new Semaphore(2);
  const order: number[] = [];
  const work = [0, 1, 2, 3].map((number) =>
    semaphore.run(async () => {
      order.push(number);
      await new Promise(setImmediate);
      if (number === 1) throw new Error('no');
    }),
  );
  const settled = await Promise.allSettled(work);
  assert.deepEqual(order, [0, 1, 2, 3]);
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
});

test('interrupted work has not failed, and skipped work has a reason', async () => {
  const { run, told } = runOf(['snap-1', 'snap-2'], {
    work: async (item) => {
      if (item === 'snap-1') return { skipped: 'already archived' };
      throw new Interrupted('SIGTERM');
    },
  });
  assert.equal(await runEach(run), EXIT.interrupted);
  const end = endOf(told);
  assert.deepEqual([end?.done, end?.failed, end?.skipped, end?.interrupted], [[], [], ['snap-1'], ['snap-2']]);
  const skipped = told.find((event) => event.code === 'snapshot.skipped');
  assert.equal(skipped?.reason, 'already archived');
});

test('the report counts bytes that an earlier run read, like those that it stored', () => {
  const report = new ReportBuilder('STANDARD');
  const snapshot = 'snap-1';
  report.hear({ code: 'run.started', command: 'migrate', snapshots: [snapshot], priceRegion: 'us-east-1' });
  report.hear({ code: 'object.kept', snapshot, key: 'a', plainBytes: 600, storedBytes: 200 });
  report.hear({ code: 'object.stored', snapshot, key: 'b', plainBytes: 400, storedBytes: 200, seconds: 1 });
  const [row] = report.report.snapshots;
  assert.deepEqual([row?.plainBytes, row?.storedBytes, row?.savedBytes], [1000, 400, 200]);
});

test('work that waits for S3 has not failed, in the event, the report and the exit code', async () => {
  const reasons: Record<string, SnapError> = {
    'snap-1': new SnapError('THAWING', 'its objects are being thawed'),
    'snap-2': new SnapError('TARGET', 'no room'),
  };
  const work = async (item: string) => {
    const reason = reasons[item];
    if (reason) throw reason;
    return 'done' as const;
  };
  const { run, told } = runOf(['snap-1', 'snap-3'], { work });
  assert.equal(await runEach(run), EXIT.thawing);
  const { done, failed, thawing } = endOf(told) ?? {};
  assert.deepEqual({ done, failed, thawing }, { done: ['snap-3'], failed: [], thawing: ['snap-1'] });
  const report = new ReportBuilder(null);
  for (const event of told) report.hear(event);
  assert.deepEqual(
    report.report.snapshots.map(({ outcome }) => outcome),
    ['thawing', 'done'],
  );
  assert.equal(await runEach(runOf(['snap-1', 'snap-2'], { work }).run), EXIT.failed);
});

test('the table omits empty columns, and a reason that was just shown', () => {
  const report = new ReportBuilder(null);
  const finished = { code: 'snapshot.finished', seconds: 1 } as const;
  const error = new SnapError('TARGET', 'no room');
  report.hear({ ...finished, snapshot: 'snap-1', outcome: 'failed', error });
  assert.deepEqual(reportTable(report.report), ['snapshot  outcome  time', 'snap-1    failed    1 s']);
  const restored = { key: 'k', target: 't', files: 1, seconds: 1, bytes: 2048, fetchedBytes: 1024 };
  report.hear({ code: 'object.restored', snapshot: 'snap-2', ...restored });
  report.hear({ ...finished, snapshot: 'snap-2', outcome: 'done' });
  assert.deepEqual(reportTable(report.report), [
    'snapshot  outcome  restored   fetched  time',
    'snap-1    failed          -         -   1 s',
    '  no room',
    'snap-2    done     2.00 KiB  1.00 KiB   1 s',
  ]);
});
