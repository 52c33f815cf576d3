/** How well archives are taken to compress, and how that is known. */
import type { Assumptions, RegionAnalysis, VolumeAnalysis } from './analysis.ts';

export interface UsedCompression {
  /** Plain bytes for each stored one. */
  compression: number;
  is: Assumptions['compressionIs'] | 'measured-of-volume';
  /** That it was measured on; `null` where it was not. */
  archives: number | null;
}

/** A volume's own archives tell best how its data compress. */
export function compressionOf(
  { measured }: Pick<VolumeAnalysis, 'measured'>,
  { compression, compressionIs, measuredOn }: Assumptions,
): UsedCompression {
  if (measured !== null) return { ...measured, is: 'measured-of-volume' };
  return { compression, is: compressionIs, archives: measuredOn?.archives ?? null };
}

/** How many volumes go by archives of their own. */
export const measuredVolumes = (regions: readonly RegionAnalysis[]): number =>
  regions.flatMap(({ volumes }) => volumes).filter(({ measured }) => measured !== null).length;

/** `2.13:1`; measured ones have many digits, of which three say enough. */
export const ratioText = (compression: number): string => `${Number(compression.toPrecision(3))}:1`;
