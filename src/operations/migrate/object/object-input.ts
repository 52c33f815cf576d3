/** What the first stage of a pipeline reads. */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import type { OpenImage } from '../../../transfer/block-image.ts';
import { closeAll, makePipe } from '../../../transfer/pipes.ts';
import type { Content } from './content.ts';

export interface ObjectInput extends AsyncDisposable {
  /** For the pipeline; tar has no standard input. */
  asStdin: { input?: number };
  /** To be called once the pipeline runs; settles when all has been written, and may be called again. */
  begin(): Promise<void>;
  /** How far the plain bytes have been read, `null` for tar. */
  position(): number | null;
}

/** @param isAligned whether the first stage reads into memory that is aligned to pages: then the page cache is bypassed. */
export async function openInput(content: Content, isAligned: boolean, signal: AbortSignal): Promise<ObjectInput> {
  switch (content.kind) {
    case 'files':
      return NOTHING;
    case 'device':
      return deviceInput(content.device, isAligned);
    case 'blocks':
      return blockInput(content.blocks, signal);
  }
}

const NOTHING: ObjectInput = {
  asStdin: {},
  begin: async () => {},
  position: () => null,
  [Symbol.asyncDispose]: async () => {},
};

/** A device is the compressor's standard input: the two share one file position, which the kernel keeps. */
function deviceInput(device: string, isAligned: boolean): ObjectInput {
  const descriptor = openSync(device, isAligned ? constants.O_RDONLY | constants.O_DIRECT : constants.O_RDONLY);
  return {
    asStdin: { input: descriptor },
    begin: async () => {},
    position: () => Number(/^pos:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1] ?? 0),
    [Symbol.asyncDispose]: async () => closeSync(descriptor),
  };
}

/** Blocks are written into a pipe, while they come. */
async function blockInput(open: OpenImage, signal: AbortSignal): Promise<ObjectInput> {
  const pipe = await makePipe();
  const image = open(0, signal);
  let writing: Promise<void> | null = null;
  return {
    asStdin: { input: pipe.readEnd },
    begin() {
      if (writing) return writing;
      closeAll([pipe.readEnd]);
      writing = image.writeTo(pipe.writeEnd, image.bytes).finally(() => closeAll([pipe.writeEnd]));
      return writing;
    },
    position: () => image.position,
    async [Symbol.asyncDispose]() {
      if (writing) await writing.catch(() => {});
      else closeAll([pipe.readEnd, pipe.writeEnd]);
      await image[Symbol.asyncDispose]();
    },
  };
}
