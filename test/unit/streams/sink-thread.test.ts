/** Comparing threads can be stopped at any time, and their errors name the cause. */
import assert from 'node:assert/strict';
import { mkdirSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { newTable } from '../../../src/archive/block-table.ts';
import type { TarMember } from '../../../src/archive/tar/tar-member.ts';
import { encodeMember, TAR_END } from '../../../src/archive/tar/tar-writer.ts';
import { SnapError } from '../../../src/errors.ts';
import type { BlockRun } from '../../../src/lib/bytes/block-run.ts';
import type { SinkOrder } from '../../../src/streams/sink-thread.ts';
import { consumeInThreads, consumeLz4InThreads } from '../../../src/streams/start.ts';
import { startPipeline } from '../../../src/transfer/pipeline.ts';
import { closeAll } from '../../../src/transfer/pipes.ts';
import { temporaryDirectory } from '../../support/lab.ts';
import { until } from '../../support/until.ts';

const HUGE = 2 ** 43;

const memberOf = (path: string, size: number, segments: TarMember['segments']): Buffer =>
  encodeMember({
    path: Buffer.from(path),
    type: 'file',
    size: BigInt(size),
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 0n,
    target: Buffer.alloc(0),
    device: { major: 0, minor: 0 },
    xattrs: new Map(),
    rights: {},
    isSparse: segments[0]?.length !== size,
    segments,
  });

/** A file so long that reading it would take longer than any test. */
const ENDLESS = memberOf('huge', HUGE, [{ offset: 0n, length: HUGE }]);

/** A file that consists of one hole. */
const HOLLOW = memberOf('huge', HUGE, [{ offset: BigInt(HUGE), length: 0 }]);

interface Loop {
  order: SinkOrder;
  /** The beginning of the stream, which is followed by endless zeros. */
  stream: Buffer;
}

/** Every loop of a thread that can run for long. */
function loopsIn(directory: string): Record<string, Loop> {
  const root = join(directory, 'root');
  const empty = join(directory, 'empty');
  for (const path of [root, empty]) mkdirSync(path);
  const huge = join(root, 'huge');
  writeFileSync(huge, '');
  truncateSync(huge, HUGE);
  const none = Buffer.alloc(0);
  const tar = (name: string, top = root): SinkOrder => ({
    kind: 'tree',
    root: top,
    contentOnly: true,
    ignore: [],
    syntheticInode: null,
    key: Buffer.alloc(32),
    logFile: join(directory, name),
    mapper: null,
  });
  const table = newTable(HUGE / 16, 2 ** 19);
  const write = (name: string, runs: BlockRun[] | null): SinkOrder => {
    const path = join(directory, name);
    writeFileSync(path, '');
    truncateSync(path, HUGE);
    return { kind: 'image', path, isBlank: runs === null, table: runs && table, runs };
  };
  const rules = { paths: null, isPrivileged: false, isCaseInsensitive: false, ownNames: [] };
  const extract = (cuts: { skip: number; take: number }[] | null): SinkOrder => ({
    kind: 'files',
    descriptor: openSync('/dev/null', 'w'),
    rules,
    maxBytes: HUGE * 2,
    cuts,
    records: null,
    shortcutPrefix: '',
    times: null,
  });
  return {
    'the hole of a file': { order: tar('hole'), stream: HOLLOW },
    'the data of a file': { order: tar('data'), stream: ENDLESS },
    'the data of a file that is missing on the disk': { order: tar('skipped', empty), stream: ENDLESS },
    'zeros after a tar': { order: tar('end'), stream: TAR_END },
    'an image and a device': { order: { kind: 'device', device: huge }, stream: none },
    'an image and the hashes of its blocks': { order: { kind: 'blocks', table }, stream: none },
    'an image that is being written': { order: write('blank', null), stream: none },
    'blocks that are searched for in a target': {
      order: write('target', [{ from: 0, to: HUGE / 2 ** 19, isFetched: false }]),
      stream: none,
    },
    'files that are being created': { order: extract(null), stream: ENDLESS },
    'bytes that are skipped before a file': { order: extract([{ skip: HUGE, take: 1 }]), stream: none },
    'a tar by itself': { order: { kind: 'members', records: null }, stream: ENDLESS },
    'bytes by themselves': { order: { kind: 'bytes' }, stream: none },
  };
}

/** The number of bytes that this process and its threads have read. */
const readSoFar = (): number => Number(/^rchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);

const MUCH = 64e6;

/** A loop that reads more than this after it was canceled goes on for more than a second, even of the fastest ones. */
const MUCH_MORE = 2 ** 30;

/** Deadline for loops that read nothing. They end within milliseconds, unless they do not end at all. */
const DEADLINE = 10_000;

/** Cancels once the threads are in the loop, that is, once they have read more than the beginning of the stream. */
async function canceled(comparing: Promise<unknown>, controller: AbortController, much = MUCH): Promise<void> {
  const start = readSoFar();
  await Promise.race([until(async () => readSoFar() > start + much), comparing]);
  const reason = new Error('enough');
  const whenCanceled = readSoFar();
  controller.abort(reason);
  await Promise.race([assert.rejects(comparing, reason), failAfterDeadline()]);
  const more = readSoFar() - whenCanceled;
  assert.ok(more < MUCH_MORE, `${more} bytes were read after the cancellation`);
}

async function failAfterDeadline(): Promise<never> {
  await setTimeout(DEADLINE, null, { ref: false });
  assert.fail('it does not end');
}

/** The stream does not end when the comparison is canceled, so that it cannot be what stops a loop. */
async function startEndless(t: TestContext, beginning: Buffer, argv: readonly string[]) {
  const file = join(temporaryDirectory(t), 'beginning');
  writeFileSync(file, beginning);
  const stages = [{ name: 'cat', argv: ['cat', file, '/dev/zero'] }];
  return startPipeline(argv.length === 0 ? stages : [...stages, { name: argv[0] ?? '', argv }], { signal: t.signal });
}

test('comparing threads can be stopped in any loop', { timeout: 120_000 }, async (t) => {
  for (const [name, { order, stream }] of Object.entries(loopsIn(temporaryDirectory(t)))) {
    await t.test(name, async () => {
      const controller = new AbortController();
      await using pipeline = await startEndless(t, stream, []);
      await canceled(consumeInThreads(pipeline.output, order, controller.signal), controller);
      closeAll([pipeline.output]);
    });
  }
  await t.test('blocks of lz4', async () => {
    const controller = new AbortController();
    await using pipeline = await startEndless(t, Buffer.alloc(0), ['lz4', '-c']);
    const comparing = consumeLz4InThreads(pipeline.output, { kind: 'bytes' }, true, controller.signal);
    // A block of zeros is stored in few bytes, so less is read.
    await canceled(comparing, controller, 100_000);
    closeAll([pipeline.output]);
  });
});

async function failureOf(t: TestContext, order: SinkOrder, stream: Buffer): Promise<SnapError> {
  const { signal } = new AbortController();
  const file = join(temporaryDirectory(t), 'stream');
  writeFileSync(file, stream);
  await using pipeline = await startPipeline([{ name: 'cat', argv: ['cat', file] }], { signal });
  const failure = await consumeInThreads(pipeline.output, order, signal).then(
    () => assert.fail('nothing failed'),
    (error: unknown) => error,
  );
  closeAll([pipeline.output]);
  assert.ok(failure instanceof SnapError, String(failure));
  return failure;
}

test('errors of the disk are distinguished from bugs', async (t) => {
  const missing = await failureOf(t, { kind: 'device', device: '/nowhere' }, Buffer.alloc(1));
  assert.equal(missing.code, 'COMPARE_FAILED');
  assert.match(missing.hint ?? '', /dmesg/);
  assert.equal((missing.cause as NodeJS.ErrnoException).code, 'ENOENT');

  const wrong = { kind: 'device', device: { toString: null } } as unknown as SinkOrder;
  const bug = await failureOf(t, wrong, Buffer.alloc(1));
  assert.equal(bug.code, 'BUG', bug.message);
  assert.ok(bug.cause instanceof TypeError);
});
