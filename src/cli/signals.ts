/** Signals of the operating system: the one place that hears them. Everything else knows an `AbortSignal`. */
import { EXIT, Interrupted } from '../errors.ts';

const HEARD = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Interruption extends Disposable {
  signal: AbortSignal;
}

/**
 * The first signal aborts the work, which then gives back what it holds. The second leaves at once.
 * @param leave told of the second signal; it prints what is left behind and must not wait for anything.
 */
export function listenForSignals(process: NodeJS.Process, leave: () => void): Interruption {
  const controller = new AbortController();
  const hear = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      leave();
      process.exit(EXIT.interrupted);
    }
    controller.abort(new Interrupted(name));
  };
  for (const name of HEARD) process.on(name, hear);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of HEARD) process.off(name, hear);
    },
  };
}
