/** Regular looks at running things. */

/** Calls `tick` each `seconds` until disposed; never keeps the process alive. */
export function every(seconds: number, tick: () => void): Disposable {
  const timer = setInterval(tick, seconds * 1000);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
