/** The operation `list --find`: searches the indexes of the archives in a bucket for files. */
import type { ExitCode } from '../../errors.ts';
import { inParallel } from '../../lib/parallel.ts';
import { keepTagged, manifestOf } from '../reading/bucket/archive-tags.ts';
import { archivesIn, batches, type FoundArchive } from '../reading/bucket/scan-bucket.ts';
import { type AnyManifest, type Archive, archiveOf } from '../reading/find-archive.ts';
import type { ReadContext } from '../reading/read-context.ts';
import type { Services } from '../shared/services.ts';
import type { FindSettings } from '../shared/settings/list.ts';
import { exitCodeOf, listFiles } from './list-files.ts';

/** Maximum number of indexes that are read at the same time; each needs one or two processes. */
const CONCURRENCY = 4;

/**
 * Reports files in the order in which they are found, so the files of several archives are interleaved.
 * @returns `EXIT.nothingToDo` if no file matches; `EXIT.someFailed` if an index or a manifest could not be read, `EXIT.differs` if
 *   an index is damaged.
 * @throws SnapError `BUCKET`, `ACCESS_DENIED`
 */
export async function findFiles(settings: FindSettings, services: Services, signal: AbortSignal): Promise<ExitCode> {
  const { host } = services;
  const totals = { archives: 0, files: 0, unreadable: 0 };
  let damaged = 0;
  for await (const batch of batches(archivesIn(settings, services, signal))) {
    const chosen = await keepTagged(batch, settings.tags, services, signal);
    totals.unreadable += chosen.unreadable;
    await inParallel(chosen.archives, CONCURRENCY, signal, async (found, working) => {
      const archive = await readArchive(found, chosen.manifests.get(found) ?? null, services, working);
      if (!archive) {
        totals.unreadable++;
        return;
      }
      const reading: ReadContext = {
        ...services,
        signal: working,
        streams: settings.downloadStreams,
        sessionKey: null,
      };
      const search = await listFiles(archive, settings.files, reading, (file) =>
        host.notify({ code: 'file.found', file }),
      );
      totals.archives++;
      totals.files += search.files;
      totals.unreadable += search.unreadable;
      damaged += search.damaged;
    });
  }
  host.notify({ code: 'find.finished', ...totals });
  return exitCodeOf({ ...totals, damaged });
}

/** @returns `null` if the manifest cannot be read; this was then reported as an event. */
async function readArchive(
  found: FoundArchive,
  known: AnyManifest | null,
  services: Services,
  signal: AbortSignal,
): Promise<Archive | null> {
  const manifest = known ?? (await manifestOf(found, services, signal));
  if (manifest === 'unreadable') return null;
  const keys = found.data.map(({ key }) => key);
  return archiveOf(found.id, manifest, keys, services.store, signal);
}
