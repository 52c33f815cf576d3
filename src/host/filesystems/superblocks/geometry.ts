/** The parameters that a filesystem was created with, so that it can be recreated. */

export interface Geometry {
  blockBytes: number | null;
  inodeBytes: number | null;
  inodes: number | null;
  /** Names of the tools that create the filesystem: `has_journal` (ext), `reflink=1` (xfs, btrfs), `FAT16`. */
  features: string[];
  /** Further parameters, listed in docs/archive-format.md. Manifests of earlier versions do not have them. */
  made?: Record<string, number | string>;
}

/** Returns the names of the bits that are set in a mask. A bit without a name is called `unknown-7`. */
export function namesOfBits(mask: number | bigint, names: readonly (string | null)[]): string[] {
  const bits = BigInt(mask);
  return Array.from({ length: 64 }, (_, bit) => bit)
    .filter((bit) => (bits >> BigInt(bit)) & 1n)
    .map((bit) => names[bit] ?? `unknown-${bit}`);
}

/** `11111111-2222-3333-4444-555555555555` */
export function formatUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
