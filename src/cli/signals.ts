/** Operating system signals. Only this module listens for them; all others use an `AbortSignal`. */
import { EXIT, Interrupted } from '../errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Interruption extends Disposable {
  signal: AbortSignal;
}

export interface SignalListener {
  /** Called for the first signal, before the work is aborted. */
  first(name: NodeJS.Signals): void;
  /** Called for the second signal, before the process exits; it prints what is left behind, and must not block. */
  second(): void;
}

/** The first signal aborts the work, which then releases its resources. The second one exits the process immediately. */
export function listenForSignals(process: NodeJS.Process, listener: SignalListener): Interruption {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      listener.second();
      process.exit(EXIT.interrupted);
    }
    listener.first(name);
    controller.abort(new Interrupted(name));
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}
