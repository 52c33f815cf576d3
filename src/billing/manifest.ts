/**
 * Manifests, which list the files of a report for one billing period. Older versions are stored beside the newest one, so a
 * listing of the bucket is not enough.
 * Sources: "Understanding report versions" of the Cost and Usage Reports guide, "Understanding export delivery" of the
 * Data Exports guide. The manifest format of Data Exports is not documented, so every name of a data file in it counts.
 */

export interface ReportManifest {
  /** Keys, or `s3://` addresses, of its data files. */
  files: string[];
}

/** The report and the period of a manifest, from its key. */
export interface ManifestPlace {
  /** The report's folder. */
  report: string;
  /** `2026-09` */
  period: string;
}

/** @returns `null` if the object is not the manifest of a report. */
export function placeOf(key: string): ManifestPlace | null {
  if (!/-Manifest\.json$/i.test(key)) return null;
  const [, exported, exportPeriod] = /^(.*?)\/?metadata\/BILLING_PERIOD=(\d{4}-\d{2})\//i.exec(key) ?? [];
  if (exported !== undefined && exportPeriod !== undefined) return { report: exported, period: exportPeriod };
  const [, report, year, month] = /^(?:(.*?)\/)?(\d{4})(\d{2})\d{2}-\d{8}\//.exec(key) ?? [];
  return year === undefined ? null : { report: report ?? '', period: `${year}-${month}` };
}

const DATA_FILE = /\.(csv|csv\.gz|csv\.zip|parquet)$/i;

/** @returns `null` if the text is not JSON. */
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

/** The folder of the data files for a Data Exports manifest in `metadata/`. */
export const dataFolderOf = (manifestKey: string): string | null =>
  /\/?metadata\/BILLING_PERIOD=/i.test(manifestKey)
    ? manifestKey.replace(/metadata\/(BILLING_PERIOD=[^/]+\/).*$/i, 'data/$1')
    : null;
