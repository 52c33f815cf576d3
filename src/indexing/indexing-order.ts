/** What the process that indexes a stream is asked for, and what it says in the end. */
import { fileURLToPath } from 'node:url';
import type { Layout } from '../archive/key.ts';
import { programFile } from '../lib/program-file.ts';

export interface IndexingOrder {
  layout: Layout;
  snapshot: string;
  partition: number | null;
  /** Length of an image in bytes; of no meaning for tars. */
  bytes: number;
  /** Level of zstd; `null`: the stream is passed on as it is. */
  zstdLevel: number | null;
  /** Where what is in the stream is told, a stream of zstd. */
  linesFile: string;
  /** Where is told from where on what is passed on can be decoded; only with zstd. */
  placesFile: string;
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

/** The last line on standard error. */
export interface IndexingReport extends IndexedContent {
  /** Bytes that were written to standard output. */
  passedBytes: number;
}

/** The stage of a pipeline that indexes what it passes on. */
export const indexingCommand = (order: IndexingOrder): string[] => {
  const program = fileURLToPath(programFile('indexing/indexing-process'));
  return [process.execPath, ...process.execArgv, program, JSON.stringify(order)];
};

export function readIndexingReport(stderr: string): IndexingReport | null {
  const found = /^\{"indexed":(.*)\}$/m.exec(stderr);
  return found ? (JSON.parse(found[1] ?? '') as IndexingReport) : null;
}

export const formatIndexingReport = (indexed: IndexingReport): string => `${JSON.stringify({ indexed })}\n`;
