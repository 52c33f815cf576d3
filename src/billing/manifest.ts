/**
 * Manifests: which files make a report up, of one billing period. Old assemblies lie beside the newest one, so a listing of
 * the bucket does not tell.
 * Sources: "Understanding report versions" of the Cost and Usage Reports guide, "Understanding export delivery" of the
 * Data Exports guide. What a Data Export's manifest looks like is not documented: whatever in it names a data file counts.
 */

export interface ReportManifest {
  /** Keys, or `s3://` addresses, of its data files. */
  files: string[];
}

/** Where a manifest belongs, told by its key. */
export interface ManifestPlace {
  /** The report's folder. */
  report: string;
  /** `2026-09` */
  period: string;
}

/** @returns `null` for objects that are no manifests of reports. */
export function placeOf(key: string): ManifestPlace | null {
  if (!/-Manifest\.json$/i.test(key)) return null;
  const [, exported, exportPeriod] = /^(.*?)\/?metadata\/BILLING_PERIOD=(\d{4}-\d{2})\//i.exec(key) ?? [];
  if (exported !== undefined && exportPeriod !== undefined) return { report: exported, period: exportPeriod };
  const [, report, year, month] = /^(?:(.*?)\/)?(\d{4})(\d{2})\d{2}-\d{8}\//.exec(key) ?? [];
  return year === undefined ? null : { report: report ?? '', period: `${year}-${month}` };
}

const DATA_FILE = /\.(csv|csv\.gz|csv\.zip|parquet)$/i;

/** @returns `null` for what is not JSON. */
export function parseManifest(text: string): ReportManifest | null {
  try {
    const found = new Set(textsIn(JSON.parse(text)).filter((candidate) => DATA_FILE.test(candidate)));
    return { files: [...found] };
  } catch {
    return null;
  }
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

/** In which folder a Data Export puts the files that its manifest in `metadata/` is about. */
export const dataFolderOf = (manifestKey: string): string | null =>
  /\/?metadata\/BILLING_PERIOD=/i.test(manifestKey)
    ? manifestKey.replace(/metadata\/(BILLING_PERIOD=[^/]+\/).*$/i, 'data/$1')
    : null;
