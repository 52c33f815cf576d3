/** Builds the index of an object that passes through a pipeline, from the records of its stages. */
import { appendFileSync, createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { zstdCompressSync } from 'node:zlib';
import type { Encryption } from '../../../archive/cipher.ts';
import { type Codec, isCompressedWhileIndexing } from '../../../archive/codec.ts';
import { encodeEnd, encodePlace } from '../../../archive/file-index.ts';
import { Lz4Blocks } from '../../../archive/lz4-blocks.ts';
import {
  type IndexingOrder,
  type IndexingReport,
  indexingCommand,
  readIndexingReport,
} from '../../../indexing/indexing-order.ts';
import { LineFile } from '../../../indexing/line-file.ts';
import type { Part } from '../../../transfer/part-reader.ts';
import type { Stage } from '../../../transfer/pipeline.ts';
import { type Content, layoutOf } from './content.ts';

/** The name of the stage in messages. */
const INDEXING = 'index';

/** The properties of the object that the index depends on. */
interface IndexedObject {
  codec: Codec;
  encryption: Encryption | null;
  content: Content;
  snapshotId: string;
  partition: number | null;
}

export class StreamIndex implements Disposable {
  readonly #order: IndexingOrder;
  /** Whether the stage that makes the index compresses the stream, too. */
  readonly isCompressing: boolean;
  /** Follows the output of the `lz4` command, unless gpg hides it. */
  readonly #blocks: { walk: Lz4Blocks; places: LineFile } | null;

  constructor(object: IndexedObject, directory: string) {
    const { codec, encryption, content, snapshotId, partition } = object;
    this.isCompressing = isCompressedWhileIndexing(codec);
    this.#order = {
      layout: layoutOf(content),
      snapshot: snapshotId,
      partition,
      bytes: content.expectedBytes,
      codec: this.isCompressing ? codec : null,
      linesFile: join(directory, 'lines'),
      placesFile: join(directory, 'places'),
      reportFile: join(directory, 'report'),
    };
    this.#blocks = this.isCompressing || encryption ? null : this.#follow();
  }

  #follow() {
    const places = new LineFile(this.#order.placesFile);
    return { places, walk: new Lz4Blocks((place) => places.add(encodePlace(place))) };
  }

  get stage(): Stage {
    return { name: INDEXING, argv: indexingCommand(this.#order) };
  }

  /** The report of the stage. Call it after the stage has exited with 0. */
  report(): IndexingReport {
    return readIndexingReport(this.#order);
  }

  /** Passes the parts on, and records the positions of the blocks in them. */
  async *watch(parts: AsyncIterable<Part>): AsyncGenerator<Part> {
    for await (const part of parts) {
      this.#blocks?.walk.take(part.bytes);
      yield part;
    }
  }

  /** @returns the path of the index. It omits positions in encrypted objects, where decryption cannot start. */
  async finish({ members, plainBytes }: IndexingReport, isEncrypted: boolean): Promise<string> {
    const { layout, linesFile, placesFile } = this.#order;
    this.#blocks?.places.finish();
    if (!isEncrypted) await pipeline(createReadStream(placesFile), createWriteStream(linesFile, { flags: 'a' }));
    if (layout === 'tar') appendFileSync(linesFile, zstdCompressSync(encodeEnd({ members, bytes: plainBytes })));
    return linesFile;
  }

  [Symbol.dispose](): void {
    this.#blocks?.places[Symbol.dispose]();
  }
}
