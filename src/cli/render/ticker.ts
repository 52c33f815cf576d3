/** A timer for output that is refreshed at regular intervals. */

/** Calls `tick` every `seconds` seconds until disposed. It does not keep the process alive. */
export function every(seconds: number, tick: () => void): Disposable {
  const timer = setInterval(tick, seconds * 1000);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
