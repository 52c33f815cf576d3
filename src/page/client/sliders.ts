/** The controls of the calculator: sliders with number fields, the region, and custom prices. */
import type { CompareOption } from '../../costs/compare-model.ts';
import type { RegionRates } from '../model/calculator.ts';
import { clamp, LIMITS } from '../model/limits.ts';
import { integer, optionName } from '../model/words.ts';
import { element } from './dom.ts';

export interface SliderOf {
  key: keyof typeof LIMITS;
  title: string;
  /** The unit, which screen readers read after the value. */
  unit: string;
  step?: number;
  /** Whether the slider has a logarithmic scale. */
  isLogarithmic?: boolean;
}

/** A slider and a number field for the same value. */
export function slider(of: SliderOf, start: number, onChange: (value: number) => void): HTMLElement {
  const { key, title, step = 1 } = of;
  const { min, max } = LIMITS[key];
  const id = `calculator-${key}`;
  const bounds = of.isLogarithmic ? { min: 0, max: POSITIONS } : { min, max };
  const range = element('input', { type: 'range', id, ...bounds, step: of.isLogarithmic ? 1 : step });
  const field = element('input', {
    type: 'number',
    min,
    max,
    step: 'any',
    inputmode: 'decimal',
    'aria-label': title,
  });
  const showInRange = (value: number) => {
    range.value = String(of.isLogarithmic ? positionOf(value, max) : value);
    range.setAttribute('aria-valuetext', `${integer(value)}${of.unit}`);
  };
  field.value = String(start);
  showInRange(start);
  range.addEventListener('input', () => {
    const value = of.isLogarithmic ? valueAt(Number(range.value), max) : Number(range.value);
    field.value = String(value);
    range.setAttribute('aria-valuetext', `${field.value}${of.unit}`);
    onChange(value);
  });
  field.addEventListener('input', () => {
    if (field.value === '') return;
    const value = clamp(key, key === 'snapshots' ? Math.round(Number(field.value)) : Number(field.value));
    showInRange(value);
    onChange(value);
  });
  field.addEventListener('change', () => {
    field.value = String(clamp(key, Number(field.value)));
  });
  return element('div', { class: 'control' }, element('label', { for: id }, title), range, field);
}

/** Number of positions of a logarithmic slider. */
const POSITIONS = 160;

/** The value at a position of a logarithmic slider from 1 to `max`, rounded to two significant digits. */
function valueAt(position: number, max: number): number {
  const exact = max ** (position / POSITIONS);
  return position === POSITIONS ? max : Number(exact.toPrecision(2));
}

const positionOf = (value: number, max: number): number =>
  Math.round((Math.log(Math.max(1, value)) / Math.log(max)) * POSITIONS);

export function regionBox(
  regions: readonly RegionRates[],
  start: string,
  onChange: (region: string) => void,
): HTMLElement {
  const box = element(
    'select',
    { id: 'calculator-region' },
    ...regions.map(({ region }) => element('option', {}, region)),
  );
  box.value = start;
  box.addEventListener('change', () => onChange(box.value));
  return element('div', { class: 'control' }, element('label', { for: box.id }, 'Prices in'), box);
}

/** Fields for negotiated rates per GB-month. */
export function priceFields(rates: RegionRates, onChange: (changed: RegionRates) => void): HTMLElement[] {
  let changed = rates;
  const setOption = (id: string, gbMonth: number) =>
    changed.options.map((option): CompareOption => (option.id === id ? { ...option, gbMonth } : option));
  const fields = rates.options.map((option) =>
    priceField(option.id, optionName(option), option.gbMonth, (gbMonth) => {
      changed = { ...changed, options: setOption(option.id, gbMonth) };
      onChange(changed);
    }),
  );
  const ofSnapshots = priceField('snapshots', 'EBS snapshots', rates.snapshotGbMonth, (snapshotGbMonth) => {
    changed = { ...changed, snapshotGbMonth };
    onChange(changed);
  });
  return [element('p', { class: 'note' }, `${rates.currency} per GB-month`), ofSnapshots, ...fields];
}

function priceField(key: string, title: string, start: number, onChange: (price: number) => void): HTMLElement {
  const id = `price-${key}`;
  const field = element('input', { type: 'number', id, min: 0, step: 'any', inputmode: 'decimal', value: start });
  field.addEventListener('input', () => {
    const price = Number(field.value);
    if (field.value !== '' && Number.isFinite(price) && price >= 0) onChange(price);
  });
  return element('div', { class: 'control' }, element('label', { for: id }, title), field);
}
