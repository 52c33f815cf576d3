/** Flags that select archives, for commands that read many of them. */
import { Option } from 'commander';
import { normalisePrefix } from '../archive/key.ts';
import { VOLUME_ID_PATTERN } from '../lib/aws-names.ts';
import type { ArchiveFilter } from '../operations/shared/settings/archive-filter.ts';
import { collect, date, matching } from './flag-values.ts';
import { SNAPSHOT_ID } from './options.ts';

export interface ArchiveFilterFlags {
  prefix: string;
  volumes?: string[];
  snapshots?: string[];
  since?: Date;
  until?: Date;
}

export const archiveFilterOptions = (): Option[] => [
  new Option('--volumes <id...>', 'only archives of these volumes').argParser(
    collect(matching(VOLUME_ID_PATTERN, 'a volume id such as vol-0123456789abcdef0')),
  ),
  new Option('--snapshots <id...>', 'only archives of these snapshots').argParser(collect(SNAPSHOT_ID)),
  new Option(
    '--since <date>',
    'only snapshots started on or after this date or time (UTC), such as 2026-01-31',
  ).argParser(date),
  new Option('--until <date>', 'only snapshots started before this date or time (UTC)').argParser(date),
];

export const toArchiveFilter = (flags: ArchiveFilterFlags): ArchiveFilter => ({
  prefix: normalisePrefix(flags.prefix),
  volumes: flags.volumes ?? [],
  snapshots: flags.snapshots ?? [],
  since: flags.since ?? null,
  until: flags.until ?? null,
});
