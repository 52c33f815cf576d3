/** What the process that indexes a stream is asked for, and what it says in the end. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Codec } from '../archive/codec.ts';
import type { Layout } from '../archive/key.ts';
import { programFile } from '../lib/program-file.ts';

export interface IndexingOrder {
  layout: Layout;
  snapshot: string;
  partition: number | null;
  /** Length of an image in bytes; of no meaning for tars. */
  bytes: number;
  /** How to compress the stream; `null` passes it on as it is. */
  codec: Codec | null;
  /** Where what is in the stream is told, a stream of zstd. */
  linesFile: string;
  /** The file for the places from which on the compressed stream can be decoded; written only with a codec. */
  placesFile: string;
  /** Where what was found is told in the end, an `IndexingReport` as JSON. */
  reportFile: string;
}

/** What a thread found in the stream. */
export interface IndexedContent {
  /** Members of a tar. */
  members: number;
  /** Data of the files of a tar, holes left out. */
  contentBytes: number;
  /** Why a member of a tar cannot be made anew; `null` where all can. */
  unmakeable: string | null;
  plainBytes: number;
  /** Why there is no index, though the stream was passed on. */
  problem: string | null;
}

export interface IndexingReport extends IndexedContent {
  /** Bytes that were written to standard output. */
  passedBytes: number;
}

/** The stage of a pipeline that indexes what it passes on. */
export const indexingCommand = (order: IndexingOrder): string[] => {
  const program = fileURLToPath(programFile('indexing/indexing-process'));
  return [process.execPath, ...process.execArgv, program, JSON.stringify(order)];
};

/** To be read once the process has exited with 0. */
export const readIndexingReport = ({ reportFile }: IndexingOrder): IndexingReport =>
  JSON.parse(readFileSync(reportFile, 'utf8')) as IndexingReport;

export const writeIndexingReport = ({ reportFile }: IndexingOrder, report: IndexingReport): void =>
  writeFileSync(reportFile, JSON.stringify(report), { mode: 0o600 });
