/** The calculator: its controls, and the costs that result. */
import { type BreakEven, breakEvenAt, type CompareInput, compareAt } from '../../costs/compare-model.ts';
import type { CalculatorData, RegionRates } from '../model/calculator.ts';
import type { CalculatorState } from '../model/limits.ts';
import { axisMoney, counted, integer, money, optionName, percent, sentence } from '../model/words.ts';
import { amountAxis, fill, moneyLabel, namesBeside } from './axes.ts';
import { drawChart, setBarRoom } from './charts.ts';
import { byId, element, scrollingTable } from './dom.ts';
import { priceFields, regionBox, slider } from './sliders.ts';

interface Bar {
  name: string;
  monthly: number;
  /** Fraction of the cost of EBS snapshots. */
  ofSnapshots: number;
  /** `null` for the snapshots themselves. */
  breakEven: BreakEven | null;
}

export function startCalculator({ regions, start, prices }: CalculatorData): void {
  const [first] = regions;
  const controls = byId('calculator-controls', HTMLFormElement);
  if (first === undefined) return;
  let state = start;
  let rates = regions.find(({ region }) => region === start.region) ?? first;
  const fields = element('details', {});

  const change = (part: Partial<CalculatorState>) => {
    state = { ...state, ...part };
    show(state, rates);
  };
  const changeRates = (changed: RegionRates) => {
    rates = changed;
    show(state, rates);
  };
  const changeRegion = (region: string) => {
    const found = regions.find((candidate) => candidate.region === region);
    if (found === undefined) return;
    fields.replaceChildren(element('summary', {}, 'Use other prices'), ...priceFields(found, changeRates));
    changeRates(found);
  };
  controls.append(
    regionBox(regions, rates.region, changeRegion),
    slider({ key: 'snapshots', title: 'Number of snapshots', unit: '' }, state.snapshots, (snapshots) =>
      change({ snapshots }),
    ),
    slider(
      { key: 'sizeGiB', title: 'Size of the volume, GiB', unit: ' GiB', isLogarithmic: true },
      state.sizeGiB,
      (sizeGiB) => change({ sizeGiB }),
    ),
    slider({ key: 'change', title: 'Change between snapshots, %', unit: ' %', step: 0.5 }, state.change, (part) =>
      change({ change: part }),
    ),
    slider({ key: 'days', title: 'Days between snapshots', unit: ' days', step: 0.1 }, state.days, (days) =>
      change({ days }),
    ),
    slider(
      { key: 'compression', title: 'Compression ratio (N:1)', unit: ':1', step: 0.1 },
      state.compression,
      (compression) => change({ compression }),
    ),
    fields,
    element('p', { class: 'note' }, sentence(prices)),
  );
  controls.addEventListener('submit', (event) => event.preventDefault());
  changeRegion(rates.region);
}

function show(state: CalculatorState, rates: RegionRates): void {
  const bars = barsOf(state, rates);
  showConclusion(state, bars, rates);
  drawOptions(bars, rates.currency);
  showNote(rates.note);
  byId('options-table', HTMLElement).replaceChildren(tableOf(bars, rates.currency));
}

function barsOf({ snapshots, sizeGiB, change, days, compression }: CalculatorState, rates: RegionRates): Bar[] {
  const input: CompareInput = { snapshots, sizeGiB, days, baseEvery: null, compression, ...rates };
  const row = compareAt(change / 100, input);
  const kept = { name: 'EBS snapshots', monthly: row.snapshots, ofSnapshots: 1, breakEven: null };
  const others = rates.options.map((option, index) => ({
    name: optionName(option),
    monthly: row.costs[index]?.monthly ?? 0,
    ofSnapshots: row.costs[index]?.ofSnapshots ?? 0,
    breakEven: breakEvenAt(option, input),
  }));
  return [kept, ...others];
}

/** Shows the result as a sentence, for screen readers and for printing. */
function showConclusion(state: CalculatorState, bars: readonly Bar[], { region, currency }: RegionRates): void {
  const { snapshots, sizeGiB, change, compression } = state;
  const [kept, ...others] = bars;
  const [cheapest] = others.sort((a, b) => a.monthly - b.monthly);
  if (kept === undefined || cheapest === undefined) return;
  const what = `${counted(snapshots, 'snapshot')} of ${integer(sizeGiB)} GiB in ${region} with ${percent(change)} change`;
  const verdict =
    cheapest.monthly < kept.monthly
      ? `${cheapest.name} is cheapest: ${money(cheapest.monthly, currency)} (${percent(cheapest.ofSnapshots * 100)}) with a compression ratio of ${compression}:1`
      : `No other storage is cheaper with a compression ratio of ${compression}:1`;
  byId('calculator-conclusion', HTMLElement).textContent =
    `${what} ${snapshots === 1 ? 'costs' : 'cost'} ${money(kept.monthly, currency)} per month in EBS. ${verdict}.`;
}

function drawOptions(bars: readonly Bar[], currency: string): void {
  const highest = Math.max(...bars.map(({ monthly }) => monthly));
  setBarRoom('options', bars.length);
  drawChart('options', (colors) => ({
    type: 'bar',
    data: {
      labels: bars.map(({ name }) => name),
      datasets: [
        {
          data: bars.map(({ monthly }) => monthly),
          ...fill(colors.stays),
          backgroundColor: bars.map(({ breakEven, ofSnapshots }) =>
            breakEven === null ? colors.stays : ofSnapshots < 1 ? colors.saved : colors.mark,
          ),
        },
      ],
    },
    options: {
      indexAxis: 'y',
      plugins: { legend: { display: false }, tooltip: { callbacks: { label: moneyLabel(currency) } } },
      scales: { x: amountAxis(colors, (value) => axisMoney(value, currency, highest)), y: namesBeside(colors) },
    },
  }));
}

function showNote(note: string | null): void {
  const target = byId('options-note', HTMLElement);
  const colors =
    'Storage with green bars costs less than EBS snapshots, storage with orange bars costs more. Incremental archives are those of migrate --incremental.';
  target.textContent = note === null ? colors : `${colors} ${sentence(note)}`;
  target.hidden = false;
}

const HEADINGS = [
  { text: 'Storage' },
  { text: 'Cost per month', isNumber: true },
  { text: 'Relative to snapshots', isNumber: true },
  { text: 'Cheaper if more changes than', isNumber: true },
];

const tableOf = (bars: readonly Bar[], currency: string): HTMLElement =>
  scrollingTable(
    'Options',
    HEADINGS,
    bars.map(({ name, monthly, ofSnapshots, breakEven }) => [
      { text: name, isHeader: true },
      { text: money(monthly, currency), isNumber: true },
      { text: percent(ofSnapshots * 100), isNumber: true },
      { text: breakEvenText(breakEven), isNumber: true },
    ]),
  );

function breakEvenText(breakEven: BreakEven | null): string {
  if (breakEven === null) return '–';
  return typeof breakEven === 'number' ? percent(breakEven * 100) : breakEven;
}
