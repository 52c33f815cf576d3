/** Events as lines of text for the terminal and for logs. */
import type { BucketEvent, SnapEvent } from '../../../events.ts';
import { describeArchive, describeList, describeWithoutManifest } from './bucket/archive-lines.ts';
import { EXPIRY_LINES } from './bucket/expiry-lines.ts';
import { describeFile, describeFound, describeNotListed, describeSearch } from './bucket/file-lines.ts';
import { describeShown } from './bucket/shown-archive.ts';
import { COST_LINES } from './cost-lines.ts';
import { describeChosen, describeDrill, describeDrilled } from './drill-lines.ts';
import { describeError, type Lines } from './line.ts';
import { RESTORE_LINES } from './restore-lines.ts';
import { RUN_LINES } from './run-lines.ts';
import { SOURCE_LINES } from './source-lines.ts';
import { STORING_LINES } from './storing-lines.ts';
import { UPKEEP_LINES } from './upkeep-lines.ts';

const BUCKET_LINES: Lines<BucketEvent> = {
  'archive.listed': (event) => describeArchive(event.archive),
  'drill.chosen': describeChosen,
  'archive.drilled': (event) => describeDrilled(event.row),
  'drill.finished': (event) => describeDrill(event.report),
  'archive.without-manifest': describeWithoutManifest,
  'archive.unreadable': (event) => `the manifest cannot be read${describeError(event.error)}`,
  'archive.shown': (event) => describeShown(event.snapshot, event.archive),
  'file.listed': (event) => describeFile(event.file),
  'file.found': (event) => describeFound(event.file),
  'files.not-listed': describeNotListed,
  'find.finished': describeSearch,
  'list.finished': describeList,
};

const LINES: Lines<SnapEvent> = {
  ...RUN_LINES,
  ...SOURCE_LINES,
  ...STORING_LINES,
  ...RESTORE_LINES,
  ...BUCKET_LINES,
  ...UPKEEP_LINES,
  ...EXPIRY_LINES,
  ...COST_LINES,
};

/** @returns one or more lines without a newline at the end; `null` for an event that is not shown. */
export function describeEvent(event: SnapEvent): string | null {
  const describe = LINES[event.code] as (event: SnapEvent) => string | null;
  const text = describe(event);
  // The page of an archive names its snapshot itself.
  const isNamed = 'snapshot' in event && event.code !== 'archive.shown';
  return text === null || !isNamed ? text : `${event.snapshot}: ${text}`;
}
