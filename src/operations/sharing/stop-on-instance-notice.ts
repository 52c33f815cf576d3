/** Stops the work when AWS announces that it will stop or terminate this instance. */
import { Interrupted } from '../../errors.ts';
import type { Services } from '../shared/services.ts';

/**
 * @param work receives a signal that is also aborted by a notice. The work then starts nothing new, releases its
 *   resources, and keeps its uploads for the next run.
 */
export async function stopOnInstanceNotice<T>(
  { awaitNotice, host }: Services,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const noticed = new AbortController();
  const ended = new AbortController();
  const watching = awaitNotice(ended.signal).then(
    (notice) => {
      host.notify({ code: 'instance.notice', notice });
      noticed.abort(new Interrupted(notice, true));
    },
    () => {},
  );
  try {
    return await work(AbortSignal.any([signal, noticed.signal]));
  } finally {
    ended.abort();
    await watching;
  }
}
