/** A sink that is ready for plain bytes, with what works beside it. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startExtentMapper } from '../../../host/filesystems/extent-mapper.ts';
import { temporaryDirectory } from '../../../lib/temporary-files.ts';
import { DifferenceList } from '../../../streams/difference.ts';
import type { SinkOrder, StreamFindings } from '../../../streams/sink-thread.ts';
import { consumeInThreads } from '../../../streams/start.ts';
import { closeAll } from '../../../transfer/pipes.ts';
import { compareXattrs } from '../attributes/compare-xattrs.ts';
import type { ArchivedObject } from '../find-archive.ts';
import type { Reference, Sink, WriteTarget } from './sinks.ts';
import { madeUpBy } from './volatile-entries.ts';

export interface OpenSink extends AsyncDisposable {
  /** For the thread that takes the plain bytes; `null` where no thread does. */
  order: SinkOrder | null;
  /** Takes the plain bytes of a descriptor, and closes it. */
  consume(descriptor: number, signal: AbortSignal): Promise<StreamFindings>;
  /** What differs in what was not in the stream itself; to be asked once all of it was taken. */
  compareRest(findings: StreamFindings): Promise<DifferenceList>;
}

/** @param signal ends what works beside the sink. */
export async function openSink(object: ArchivedObject, sink: Sink, signal: AbortSignal): Promise<OpenSink> {
  switch (sink.kind) {
    case 'tree':
      return openTree(sink, signal);
    case 'alone':
      return inThread(object.layout === 'tar' ? { kind: 'members', records: sink.records } : { kind: 'bytes' });
    case 'device':
    case 'blocks':
      return inThread(sink);
    case 'image':
    case 'files': {
      const { extents: _, ...order } = sink;
      return inThread(order);
    }
    case 'pipe':
      return { ...NOTHING_BESIDE, order: null, consume: (descriptor, ending) => takeStream(descriptor, sink, ending) };
  }
}

const NOTHING_BESIDE = {
  compareRest: async () => new DifferenceList(),
  [Symbol.asyncDispose]: async () => {},
};

const inThread = (order: SinkOrder): OpenSink => ({ ...NOTHING_BESIDE, order, consume: consumeBy(order) });

const consumeBy =
  (order: SinkOrder): OpenSink['consume'] =>
  (descriptor, signal) =>
    consumeInThreads(descriptor, order, signal).finally(() => closeAll([descriptor]));

async function takeStream(
  descriptor: number,
  { take }: WriteTarget & { kind: 'pipe' },
  signal: AbortSignal,
): Promise<StreamFindings> {
  const found = await take(descriptor, signal);
  const counts = { differenceCount: found.differences.length, contentBytes: found.plainBytes };
  return { members: 0, files: 0, xattrSum: '', ...counts, ...found };
}

/** What these keep has no place in a tar, or is shown only by their drivers. */
const WITHOUT_XATTRS = new Set(['vfat', 'ntfs']);

/** Beside the stream, the disk is asked for extended attributes, and for what has room in sparse files. */
async function openTree(
  { root, contentOnly, filesystem }: Reference & { kind: 'tree' },
  signal: AbortSignal,
): Promise<OpenSink> {
  await using opening = new AsyncDisposableStack();
  const directory = opening.use(temporaryDirectory());
  const mapper = opening.use(await startExtentMapper(signal));
  const key = randomBytes(32);
  const logFile = join(directory.path, 'members');
  const ends = mapper && { questions: mapper.questions, answers: mapper.answers };
  const unsteady = madeUpBy(filesystem);
  const order: SinkOrder = { kind: 'tree', root, contentOnly, ...unsteady, key, logFile, mapper: ends };
  const isWithout = contentOnly || WITHOUT_XATTRS.has(filesystem);
  const xattrs = isWithout ? null : opening.use(compareXattrs({ root, key, logFile, ignore: new Set(), signal }));
  const opened = opening.move();
  return {
    order,
    consume: consumeBy(order),
    compareRest: async (findings) => (await xattrs?.finish(findings)) ?? new DifferenceList(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
