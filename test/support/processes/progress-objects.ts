/** The objects that `progress-program.ts` shows. */
export const OBJECTS = [
  'vol-0123456789abcdef0/2026-01-01T00:00:00+00:00 snap-0123456789abcdef0.1.tar.lz4',
  'snap-1.img.lz4',
];
