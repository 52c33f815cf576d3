/** Simulates a host whose clock is wrong by `WRONG_CLOCK_SECONDS`. It is loaded by `node --import`. */
const shift = Number(process.env['WRONG_CLOCK_SECONDS'] ?? 0) * 1000;
const Real = Date;

globalThis.Date = new Proxy(Real, {
  construct: (target, argv, self) => Reflect.construct(target, argv.length === 0 ? [Real.now() + shift] : argv, self),
  get: (target, name) => (name === 'now' ? () => Real.now() + shift : Reflect.get(target, name)),
});
