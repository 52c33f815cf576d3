import type { PointManifest } from '../../../archive/points/point-manifest.ts';

/** The manifest of a point, which is the archive of a snapshot in the incremental layout. */
export interface FoundPoint {
  key: string;
  etag: string;
  content: PointManifest;
}
