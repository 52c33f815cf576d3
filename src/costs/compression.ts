/** The compression ratio that is used for a volume, and its source. */
import type { Assumptions, RegionAnalysis, VolumeAnalysis } from './analysis.ts';

export interface UsedCompression {
  /** Plain bytes per stored byte. */
  compression: number;
  is: Assumptions['compressionIs'] | 'measured-of-volume';
  /** Number of archives on which it was measured; `null` if it was not measured. */
  archives: number | null;
}

/** The ratio of the archives of the volume itself, if there are any; otherwise the general one. */
export function compressionOf(
  { measured }: Pick<VolumeAnalysis, 'measured'>,
  { compression, compressionIs, measuredOn }: Assumptions,
): UsedCompression {
  if (measured !== null) return { ...measured, is: 'measured-of-volume' };
  return { compression, is: compressionIs, archives: measuredOn?.archives ?? null };
}

/** The number of volumes with a measured ratio of their own. */
export const measuredVolumes = (regions: readonly RegionAnalysis[]): number =>
  regions.flatMap(({ volumes }) => volumes).filter(({ measured }) => measured !== null).length;

/** `2.13:1`, rounded to three significant digits. */
export const ratioText = (compression: number): string => `${Number(compression.toPrecision(3))}:1`;
