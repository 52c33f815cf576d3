/** Fetches the stored bytes of an object, decodes them, and passes them to a sink. */
import type { ObjectHead } from '../../../cloud/ports.ts';
import { SnapError } from '../../../errors.ts';
import type { Difference } from '../../../streams/difference.ts';
import type { StreamFindings } from '../../../streams/sink-thread.ts';
import { type Downloaded, downloadInto, type Extent, lengthOf } from '../../../transfer/download.ts';
import { closeAll, makePipe } from '../../../transfer/pipes.ts';
import type { ArchivedObject } from '../find-archive.ts';
import type { ReadContext } from '../read-context.ts';
import { type Decoder, decodeByPrograms, decodeInThreads, decodeNothing } from './decoders.ts';
import { compareStored, hasAllOf } from './object-findings.ts';
import { type OpenSink, openSink } from './open-sink.ts';
import { extentsOf, type Sink } from './sinks.ts';

export interface DecodedObject {
  downloaded: Downloaded;
  plain: StreamFindings;
  /** Why the object cannot be decoded to its end; `null` if it can. */
  problem: string | null;
  /** Differences that were not found in the plain stream: those that are listed, and the number of all. */
  rest: { kept: readonly Difference[]; count: number };
}

/** `head` describes the version of the object that is read. */
export interface DecodingTask {
  object: ArchivedObject;
  head: ObjectHead;
  sink: Sink;
}

/**
 * Decodes in threads of this process if they support the format and the data is only compared. Otherwise, uses the
 * programs that a restore by hand would use.
 * @throws SnapError errors that are no evidence about the object, as `Decoder` and `downloadInto` do.
 */
export async function decodeObject(task: DecodingTask, services: ReadContext): Promise<DecodedObject> {
  const { codec, cipher } = task.object;
  const isOurs = codec === 'lz4' && cipher === 'none' && ONLY_COMPARED.has(task.sink.kind);
  const decoded =
    (isOurs ? await decode(task, byThreads, services) : null) ?? (await decode(task, byPrograms, services));
  if (!decoded) throw new SnapError('BUG', `no decoder for ${task.object.key}`);
  return decoded;
}

const ONLY_COMPARED: ReadonlySet<Sink['kind']> = new Set(['tree', 'device', 'blocks', 'alone']);

/** @param stored the read end of a pipe with the stored bytes, which the decoder closes. */
type OpenDecoder = (task: DecodingTask, sink: OpenSink, stored: number, services: ReadContext) => Promise<Decoder>;

const byThreads: OpenDecoder = async ({ object: { key, facts } }, { order }, stored, { signal }) => {
  if (!order) throw new SnapError('BUG', `no thread takes the plain bytes of ${key}`);
  return decodeInThreads(stored, order, Boolean(facts?.plainSha256), signal);
};

/** No program decodes nothing: gpg and zstd refuse an empty stream, and gpg knows no other one without a key. */
const byPrograms: OpenDecoder = async ({ object, sink }, opened, stored, services) => {
  const consume = (descriptor: number) => opened.consume(descriptor, services.signal);
  const isNothing = extentsOf(sink)?.length === 0;
  return isNothing ? decodeNothing(stored, consume) : decodeByPrograms(object, stored, consume, services);
};

/** @returns `null` if another decoder must be used; then nothing was found. */
async function decode(task: DecodingTask, open: OpenDecoder, services: ReadContext): Promise<DecodedObject | null> {
  const { object, head } = task;
  const failed = new AbortController();
  const signal = AbortSignal.any([services.signal, failed.signal]);
  await using sink = await openSink(object, task.sink, signal);
  const source = await makePipe();
  await using decoder = await open(task, sink, source.readEnd, { ...services, signal }).catch((error) => {
    closeAll([source.writeEnd]);
    throw error;
  });
  const extents = extentsOf(task.sink) ?? [{ from: 0, to: head.bytes }];
  let shown = 0;
  const read = () => shown;
  using _task = services.host.track({ label: head.key, expectedBytes: lengthOf(extents), read, stored: read });
  const onBytes = (count: number) => {
    shown += count;
  };
  const downloading = download(source.writeEnd, head, extents, { ...services, signal, onBytes });
  const stopOnError = (error: unknown) => failed.abort(error);
  downloading.catch(stopOnError);
  decoder.finished.catch(stopOnError);
  const [fetched, decoded] = await Promise.allSettled([downloading, decoder.finished]);
  services.signal.throwIfAborted();
  if (fetched.status === 'rejected') throw fetched.reason;
  if (decoded.status === 'rejected') throw decoded.reason;
  const { findings, problem, isForeign, ifIntact } = decoded.value;
  if (isForeign) return null;
  if (ifIntact && isAsRecorded(object, head, fetched.value)) throw ifIntact;
  const rest = problem === null ? await sink.compareRest(findings) : NOTHING;
  return { downloaded: fetched.value, plain: findings, problem, rest };
}

/** Whether all bytes of an object came, and came as they were stored. */
const isAsRecorded = (object: ArchivedObject, head: ObjectHead, downloaded: Downloaded): boolean =>
  hasAllOf(head, downloaded) && compareStored(object, head, downloaded).length === 0;

const NOTHING: DecodedObject['rest'] = { kept: [], count: 0 };

/** Closes the descriptor at the end. */
async function download(
  descriptor: number,
  { key, etag }: ObjectHead,
  extents: readonly Extent[],
  services: ReadContext & { onBytes: (count: number) => void },
): Promise<Downloaded> {
  try {
    const { store } = services;
    return await downloadInto(descriptor, store.reader(key, etag), extents, { ...services, bucket: store.bucket });
  } finally {
    closeAll([descriptor]);
  }
}
