/** Work that ends in time when the machine is going to be taken away. */
import { Interrupted } from '../../errors.ts';
import type { Services } from '../shared/services.ts';

/**
 * @param work its signal fires also on a notice: nothing new is begun, what can be given back is, and uploads stay for
 *   the next run.
 */
export async function stopOnInstanceNotice<T>(
  { awaitNotice, host }: Services,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const taken = new AbortController();
  const ended = new AbortController();
  const watching = awaitNotice(ended.signal).then(
    (notice) => {
      host.notify({ code: 'instance.notice', notice });
      taken.abort(new Interrupted(notice, true));
    },
    () => {},
  );
  try {
    return await work(AbortSignal.any([signal, taken.signal]));
  } finally {
    ended.abort();
    await watching;
  }
}
