/** Signals of the operating system: the one place that hears them. Everything else knows an `AbortSignal`. */
import { EXIT, Interrupted } from '../errors.ts';

const HEARD = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Interruption extends Disposable {
  signal: AbortSignal;
}

export interface SignalListener {
  /** Told of the first signal, before the work is aborted. */
  first(name: NodeJS.Signals): void;
  /** Told of the second signal; it prints what is left behind and must not wait for anything. */
  second(): void;
}

/** The first signal aborts the work, which then gives back what it holds. The second leaves at once. */
export function listenForSignals(process: NodeJS.Process, listener: SignalListener): Interruption {
  const controller = new AbortController();
  const hear = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      listener.second();
      process.exit(EXIT.interrupted);
    }
    listener.first(name);
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
