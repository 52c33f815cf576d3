/** Builds the index of an object that passes through a pipeline, from the records of its stages. */
import { appendFileSync, createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { zstdCompressSync } from 'node:zlib';
import type { Codec } from '../../../archive/codec.ts';
import { encodeEnd } from '../../../archive/file-index.ts';
import {
  type IndexingOrder,
  type IndexingReport,
  indexingCommand,
  readIndexingReport,
} from '../../../indexing/indexing-order.ts';
import type { Stage } from '../../../transfer/pipeline.ts';
import { type Content, layoutOf } from './content.ts';

/** The name of the stage in messages. */
const INDEXING = 'index';

/** The properties of the object that the index depends on. */
interface IndexedObject {
  codec: Codec;
  content: Content;
  snapshotId: string;
  partition: number | null;
}

export class StreamIndex {
  readonly #order: IndexingOrder;

  constructor(object: IndexedObject, directory: string) {
    const { codec, content, snapshotId, partition } = object;
    this.#order = {
      layout: layoutOf(content),
      snapshot: snapshotId,
      partition,
      bytes: content.expectedBytes,
      codec,
      linesFile: join(directory, 'lines'),
      placesFile: join(directory, 'places'),
      reportFile: join(directory, 'report'),
    };
  }

  get stage(): Stage {
    return { name: INDEXING, argv: indexingCommand(this.#order) };
  }

  /** The report of the stage. Call it after the stage has exited with 0. */
  report(): IndexingReport {
    return readIndexingReport(this.#order);
  }

  /** @returns the path of the index. It omits positions in encrypted objects, where decryption cannot start. */
  async finish({ members, plainBytes }: IndexingReport, isEncrypted: boolean): Promise<string> {
    const { layout, linesFile, placesFile } = this.#order;
    if (!isEncrypted) await pipeline(createReadStream(placesFile), createWriteStream(linesFile, { flags: 'a' }));
    if (layout === 'tar') appendFileSync(linesFile, zstdCompressSync(encodeEnd({ members, bytes: plainBytes })));
    return linesFile;
  }
}
