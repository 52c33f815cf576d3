/** Events of `analyze`. */

export type CostEvent =
  | {
      code: 'report.read';
      name: string;
      format: string;
      granularity: string;
      rows: number;
      ofSnapshots: number;
      broken: number;
      unclear: number;
      seconds: number;
    }
  | {
      code: 'ratio.measured';
      bucket: string;
      prefix: string;
      compression: number;
      archives: number;
      leftOut: number;
    }
  | { code: 'region.described'; region: string; snapshots: number; volumes: number; images: number }
  | { code: 'live.planned'; region: string; snapshots: number; requests: number; dollars: number };
