/** How a filesystem was made, for whoever makes it anew. */

export interface Geometry {
  blockBytes: number | null;
  inodeBytes: number | null;
  inodes: number | null;
  /** As the tools that make it name them: `has_journal` (ext), `reflink=1` (xfs, btrfs), `FAT16`. */
  features: string[];
  /** Further facts by name, as docs/archive-format.md lists them; not in the manifests of earlier versions. */
  made?: Record<string, number | string>;
}

/** Names of the bits of a mask that are set; one without a name is `unknown-7`. */
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
