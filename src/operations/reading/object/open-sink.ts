/** Opens a sink for plain bytes, and starts the processes that work in parallel to it. */
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
  /** The order for the thread that consumes the plain bytes; `null` if there is no such thread. */
  order: SinkOrder | null;
  /** Reads the plain bytes from a descriptor, and closes it. */
  consume(descriptor: number, signal: AbortSignal): Promise<StreamFindings>;
  /** Compares what was not in the stream itself. Call it after the whole stream was consumed. */
  compareRest(findings: StreamFindings): Promise<DifferenceList>;
}

/** @param signal stops the processes that work in parallel to the sink. */
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

/** Filesystems whose extended attributes a tar cannot hold, or only their drivers show. */
const WITHOUT_XATTRS = new Set(['vfat', 'ntfs']);

/** In parallel to the stream, reads the extended attributes of the disk and the allocated parts of sparse files. */
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
