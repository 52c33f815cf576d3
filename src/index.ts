/** The library: the operations of the command line without its output. See docs/library.md. */
export type { Encryption } from './archive/cipher.ts';
export type { Codec, CodecName } from './archive/codec.ts';
export {
  type ArchiveName,
  type KeyParts,
  keyStem,
  type Layout,
  manifestKey,
  objectKey,
  parseKey,
} from './archive/key.ts';
export type { Manifest, ManifestObject, RecordedPartition } from './archive/manifest.ts';
export { readHeaderValue } from './archive/metadata.ts';
export { type AwsChoices, awsAnalyzeServices, awsServices } from './aws-services.ts';
export type * from './cloud/blocks.ts';
export type * from './cloud/examiner.ts';
export type * from './cloud/ports.ts';
export type * from './costs/analysis.ts';
export { BUILT_IN as BUILT_IN_PRICES } from './costs/built-in-prices.ts';
export {
  type ComparedTable,
  type CompareSettings,
  type Comparison,
  compareIn2017,
  compareToday,
} from './costs/compare.ts';
export { pricesFromFile } from './costs/price-file.ts';
export type { Prices, RegionPrices } from './costs/price-types.ts';
export { ERROR_CODES, type ErrorCode, EXIT, type ExitCode, SnapError } from './errors.ts';
export { type Holding, type Host, type ProgressTask, type SnapEvent, type SnapshotPlan, silentHost } from './events.ts';
export { analyze } from './operations/analyze/analyze.ts';
export { analyzeLive } from './operations/analyze/analyze-live.ts';
export { clean } from './operations/clean/clean.ts';
export { doctor } from './operations/doctor/doctor.ts';
export { drill } from './operations/drill/drill.ts';
export { findFiles } from './operations/list/find-files.ts';
export { list } from './operations/list/list.ts';
export { showArchive } from './operations/list/show-archive.ts';
export { migrate } from './operations/migrate/migrate.ts';
export { restore } from './operations/restore/restore.ts';
export { ReportBuilder, type ReportRow, type RunReport } from './operations/shared/run-report.ts';
export type { AnalyzeServices, ReadableBucket, Services } from './operations/shared/services.ts';
export type { AnalyzeSettings, RatioChoice } from './operations/shared/settings/analyze.ts';
export type { CleanSettings } from './operations/shared/settings/clean.ts';
export type { DoctorSettings } from './operations/shared/settings/doctor.ts';
export type { DrillSettings } from './operations/shared/settings/drill.ts';
export type { FindSettings, ListSettings, ShowSettings } from './operations/shared/settings/list.ts';
export type { MigrateSettings } from './operations/shared/settings/migrate.ts';
export type { RestoreSettings } from './operations/shared/settings/restore.ts';
export type { Selection } from './operations/shared/settings/selection.ts';
export type { ThawSettings } from './operations/shared/settings/thaw.ts';
export type { ValidateSettings } from './operations/shared/settings/validate.ts';
export type { VolumeSettings } from './operations/shared/settings/volume.ts';
export { validate } from './operations/validate/validate.ts';
export { renderPage } from './page/render-page.ts';
export { VERSION } from './version.ts';
