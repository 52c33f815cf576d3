/** The order for the process that indexes a stream, and its report. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Codec } from '../archive/codec.ts';
import type { Layout } from '../archive/key.ts';
import { programFile } from '../lib/program-file.ts';

export interface IndexingOrder {
  layout: Layout;
  snapshot: string;
  partition: number | null;
  /** Length of an image in bytes; of a tar, the used bytes of the filesystem. */
  bytes: number;
  /** How to compress the stream. */
  codec: Codec;
  /** The file for the index lines, compressed with zstd. */
  linesFile: string;
  /** The file for the positions at which the compressed stream can be decoded. */
  placesFile: string;
  /** The file for the final `IndexingReport` as JSON. */
  reportFile: string;
}

/** What the indexing thread found in the stream. */
export interface IndexedContent {
  /** Number of members of a tar. */
  members: number;
  /** Bytes of file data in a tar, without holes. */
  contentBytes: number;
  /** Why a member of a tar cannot be created on Linux; `null` if all can. */
  unsupported: string | null;
  plainBytes: number;
  /** Why there is no index, although the stream was compressed; `null` if there is one. */
  problem: string | null;
}

export interface IndexingReport extends IndexedContent {
  /** Bytes written to standard output. */
  passedBytes: number;
}

/** Options of the threads of the stage: if they shared its standard output, it would become non-blocking. */
export const OWN_OUTPUT = { stdout: true, stderr: true } as const;

/** The pipeline stage that indexes and compresses a stream. */
export const indexingCommand = (order: IndexingOrder): string[] => {
  const program = fileURLToPath(programFile('indexing/indexing-process'));
  return [process.execPath, ...process.execArgv, program, JSON.stringify(order)];
};

/** Reads the report. Call it after the process has exited with 0. */
export const readIndexingReport = ({ reportFile }: IndexingOrder): IndexingReport =>
  JSON.parse(readFileSync(reportFile, 'utf8')) as IndexingReport;

export const writeIndexingReport = ({ reportFile }: IndexingOrder, report: IndexingReport): void =>
  writeFileSync(reportFile, JSON.stringify(report), { mode: 0o600 });
