/** The compressors: their levels, their commands, and the reports that they write. */

export type CodecName = 'lz4' | 'zstd';

export interface Codec {
  name: CodecName;
  level: number;
}

interface CodecFacts {
  /** The end of the keys of objects. */
  suffix: string;
  /** The levels, and the default level. */
  lowest: number;
  highest: number;
  standard: number;
  /** The highest level at which the indexing stage also compresses. Higher levels need the command. */
  highestWhileIndexing: number;
}

export const CODECS: Record<CodecName, CodecFacts> = {
  lz4: { suffix: 'lz4', lowest: 1, highest: 12, standard: 1, highestWhileIndexing: 2 },
  zstd: { suffix: 'zst', lowest: 1, highest: 19, standard: 1, highestWhileIndexing: 19 },
};

/** Whether the indexing stage also compresses the stream, in several threads. */
export const isCompressedWhileIndexing = ({ name, level }: Codec): boolean =>
  level <= CODECS[name].highestWhileIndexing;

/**
 * The commands that compress standard input to standard output.
 *
 * Verbose output is on, because the last line has the exact byte counts. `readCounts` compares them with the input and
 * the upload. lz4 writes independent blocks of 4 MiB and a content checksum. zstd writes a checksum, and the same bytes
 * for any number of threads.
 */
const COMPRESSORS: Record<CodecName, (level: number) => string[]> = {
  lz4: (level) => ['lz4', `-${level}`, '-z', '-c', '-v', '-'],
  zstd: (level) => ['zstd', `-${level}`, '-T0', '--check', '-c', '-vv', '--no-progress', '-'],
};

export const compressCommand = ({ name, level }: Codec): string[] => COMPRESSORS[name](level);

export const decompressCommand = (codec: CodecName): string[] => [codec, '-d', '-q', '-c', '-'];

export interface CodecCounts {
  plainBytes: number;
  storedBytes: number;
}

/** Parses the exact counts in the report of the compressor; `null` if this version does not report exact counts. */
export function readCounts(codec: CodecName, stderr: string): CodecCounts | null {
  const found = REPORTS[codec].exec(stderr);
  if (!found) return null;
  return { plainBytes: Number(found[1]), storedBytes: Number(found[2]) };
}

const REPORTS: Record<CodecName, RegExp> = {
  /** `Compressed 1234 bytes into 567 bytes ==> 45.95%` */
  lz4: /Compressed (\d+) bytes into (\d+) bytes/,
  /** `/*stdin*\ : 28.61% ( 1234 B => 353 B, /*stdout*\)`. Reports in scaled units are not exact. */
  zstd: /\(\s*(\d+) B\s*=>\s*(\d+) B[,)]/,
};
