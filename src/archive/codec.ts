/** The compressors: their levels, and the commands that decompress. */

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
}

export const CODECS: Record<CodecName, CodecFacts> = {
  lz4: { suffix: 'lz4', lowest: 1, highest: 12, standard: 1 },
  zstd: { suffix: 'zst', lowest: 1, highest: 19, standard: 1 },
};

export const decompressCommand = (codec: CodecName): string[] => [codec, '-d', '-q', '-c', '-'];

export interface CodecCounts {
  plainBytes: number;
  storedBytes: number;
}
