/** The source of an object: it produces the plain bytes, and checks whether they are complete. */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { isSocketLine, readTarTotal, tarCommand, unreadableFile } from '../../../archive/tar/tar-command.ts';
import { SnapError } from '../../../errors.ts';
import type { IndexingReport } from '../../../indexing/indexing-order.ts';
import { printable } from '../../../lib/printable.ts';
import type { Stage, StageReport } from '../../../transfer/pipeline.ts';
import type { Content, StreamContent } from './content.ts';
import type { ObjectOrder } from './object-order.ts';
import { mismatch, reportOf } from './stream-counts.ts';

export interface ObjectSource extends AsyncDisposable {
  /** The process that writes the plain bytes; empty if the first transform reads `input` itself. */
  readonly stages: readonly Stage[];
  /** The standard input of the first stage; `null` for tar, which reads none. */
  readonly input: number | null;
  /** Number of plain bytes read so far; `null` if only the kernel counts them. */
  position(): number | null;
  /**
   * Returns the number of plain bytes. Call it after every stage has exited with 0.
   * @throws SnapError `COUNT_MISMATCH` if bytes are missing.
   */
  produced(reports: readonly StageReport[]): Promise<number>;
  /**
   * Returns the findings about the plain bytes.
   * @param indexed `null` if they have no index.
   * @throws SnapError `UNREADABLE` if they are not the complete content.
   */
  verdict(indexed: IndexingReport | null): SourceVerdict;
}

export interface SourceVerdict {
  /** Sockets that tar left out; `null` for images. */
  readonly sockets: number | null;
  /** Bytes of data of the files in a tar, without holes; `null` if they were not counted, and for images. */
  readonly contentBytes: number | null;
}

export interface SourceOptions {
  /** Called with the reason if the plain bytes cannot become complete. */
  fail: (reason: unknown) => void;
}

export function openSource(order: ObjectOrder, content: StreamContent, options: SourceOptions): ObjectSource {
  switch (content.kind) {
    case 'files':
      return filesSource(order, content, options);
    case 'device':
      return deviceSource(order, content);
  }
}

type Of<Kind extends Content['kind']> = Extract<Content, { kind: Kind }>;

function filesSource(order: ObjectOrder, { directory, damage }: Of<'files'>, { fail }: SourceOptions): ObjectSource {
  let sockets = 0;
  const onStderrLine = (line: string) => {
    const trouble = unreadableFile(line);
    if (isSocketLine(line)) sockets++;
    else if (trouble) fail(unreadable(trouble));
  };
  return {
    stages: [{ name: 'tar', argv: tarCommand(directory), onStderrLine }],
    input: null,
    position: () => null,
    async produced(reports) {
      const total = readTarTotal(reportOf(reports, 'tar'));
      if (total === null) throw mismatch(order, 'tar did not report how many bytes it wrote');
      return total;
    },
    verdict(indexed) {
      const found = damage(indexed?.members ?? null) ?? indexed?.unsupported ?? null;
      if (found !== null) throw new SnapError('UNREADABLE', found, { hint: 'repair the filesystem, or use --dd' });
      return { sockets, contentBytes: indexed?.contentBytes ?? null };
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

type Trouble = NonNullable<ReturnType<typeof unreadableFile>>;

const unreadable = ({ path, reason }: Trouble): SnapError =>
  new SnapError('UNREADABLE', `${printable(path)} cannot be read: ${reason}`, {
    hint: 'look for read errors in dmesg; check the filesystem, or archive the disk with --dd',
  });

export const verdictOnImage = (): SourceVerdict => ({ sockets: null, contentBytes: null });

/** @returns the number of bytes. @throws SnapError `COUNT_MISMATCH` */
export function allRead(order: ObjectOrder, position: number): number {
  const { expectedBytes } = order.content;
  if (position === expectedBytes) return expectedBytes;
  throw mismatch(order, `${position} of the ${expectedBytes} bytes of the disk were read`);
}

/**
 * The device is the standard input of the first stage, which reads into page-aligned memory, so that the page cache can
 * be bypassed. This process and the stage share one file position, which the kernel keeps.
 */
function deviceSource(order: ObjectOrder, { device }: Of<'device'>): ObjectSource {
  const descriptor = openSync(device, constants.O_RDONLY | constants.O_DIRECT);
  const position = () =>
    Number(/^pos:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1] ?? 0);
  return {
    stages: [],
    input: descriptor,
    position,
    produced: async () => allRead(order, position()),
    verdict: verdictOnImage,
    [Symbol.asyncDispose]: async () => closeSync(descriptor),
  };
}
