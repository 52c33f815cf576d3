/** Charts of the costs: by region, by volume, over time and by age. */
import type { ChartConfiguration } from 'chart.js';
import type { TrendMonth } from '../../costs/analysis.ts';
import { sum } from '../../lib/sum.ts';
import { type AgeGroup, ageGroups } from '../model/ages.ts';
import type { PageData, PageVolume } from '../model/page-data.ts';
import { axisMoney, day, gib, integer, money } from '../model/words.ts';
import { amountAxis, fill, legend, moneyLabel, namesBelow, namesBeside } from './axes.ts';
import { type Colors, drawChart, setBarRoom } from './charts.ts';
import { byId, element, scrollingTable } from './dom.ts';

const MAX_BARS = 8;

interface Bar {
  title: string;
  monthly: number;
  saving: number;
}

/** Amounts in several currencies cannot share an axis, so the charts show only the currency with the highest cost. */
export function drawBill({ volumes, trend, latestDay }: PageData): void {
  const currency = mainCurrency(volumes);
  const inCurrency = volumes.filter((volume) => volume.currency === currency);
  const hasOthers = inCurrency.length < volumes.length;
  drawBars('regions', largestOf(byRegion(inCurrency), 'other regions'), currency);
  drawBars('largest', largest(inCurrency), currency);
  drawAges(ageGroups(inCurrency, latestDay), currency);
  drawTrend(trend.filter((month) => month.currency === currency));
  if (hasOthers) for (const id of ['regions', 'largest', 'ages']) note(id, `Only costs in ${currency}.`);
}

function mainCurrency(volumes: readonly PageVolume[]): string {
  const bills = new Map<string, number>();
  for (const { currency, monthly } of volumes) bills.set(currency, (bills.get(currency) ?? 0) + monthly);
  return [...bills].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'USD';
}

const note = (id: string, text: string): void => {
  const target = byId(`${id}-note`, HTMLElement);
  target.textContent = text;
  target.hidden = false;
};

function byRegion(volumes: readonly PageVolume[]): Bar[] {
  const bars = new Map<string, Bar>();
  for (const { region, monthly, advice } of volumes) {
    const bar = bars.get(region) ?? { title: region, monthly: 0, saving: 0 };
    bar.monthly += monthly;
    bar.saving += advice.saving;
    bars.set(region, bar);
  }
  return [...bars.values()].sort((a, b) => b.monthly - a.monthly);
}

function largest(volumes: readonly PageVolume[]): Bar[] {
  const mostExpensive = [...volumes].sort((a, b) => b.monthly - a.monthly).slice(0, MAX_BARS);
  return mostExpensive.map(({ id, name, monthly, advice }) => ({
    title: name ?? id ?? 'unknown volume',
    monthly,
    saving: advice.saving,
  }));
}

function largestOf(bars: readonly Bar[], rest: string): Bar[] {
  if (bars.length <= MAX_BARS) return [...bars];
  const others = bars.slice(MAX_BARS - 1);
  const total = {
    title: `${others.length} ${rest}`,
    monthly: sum(others.map((bar) => bar.monthly)),
    saving: sum(others.map((bar) => bar.saving)),
  };
  return [...bars.slice(0, MAX_BARS - 1), total];
}

function drawBars(id: string, bars: readonly Bar[], currency: string): void {
  const highest = Math.max(...bars.map(({ monthly }) => monthly));
  setBarRoom(id, bars.length);
  drawChart(id, (colors) => ({
    type: 'bar',
    data: {
      labels: bars.map(({ title }) => title),
      datasets: [
        {
          label: 'remaining cost',
          data: bars.map(({ monthly, saving }) => Math.max(0, monthly - saving)),
          ...fill(colors.stays),
        },
        { label: 'possible saving', data: bars.map(({ saving }) => saving), ...fill(colors.saved) },
      ],
    },
    options: {
      indexAxis: 'y',
      plugins: { legend: legend(colors), tooltip: { callbacks: { label: moneyLabel(currency) } } },
      scales: {
        x: { stacked: true, ...amountAxis(colors, (value) => axisMoney(value, currency, highest)) },
        y: { stacked: true, ...namesBeside(colors) },
      },
    },
  }));
}

function drawAges(groups: readonly AgeGroup[], currency: string): void {
  const highest = Math.max(...groups.map(({ monthly }) => monthly));
  setBarRoom('ages', groups.length);
  drawChart('ages', (colors) => ({
    type: 'bar',
    data: {
      labels: groups.map(({ title }) => title),
      datasets: [{ data: groups.map(({ monthly }) => monthly), ...fill(colors.stays) }],
    },
    options: {
      indexAxis: 'y',
      plugins: { legend: { display: false }, tooltip: { callbacks: { label: moneyLabel(currency) } } },
      scales: { x: amountAxis(colors, (value) => axisMoney(value, currency, highest)), y: namesBeside(colors) },
    },
  }));
  const rows = groups.map((group) => [
    { text: group.title, isHeader: true },
    { text: integer(group.snapshotCount), isNumber: true },
    { text: gib(group.gib), isNumber: true },
    { text: money(group.monthly, currency), isNumber: true },
  ]);
  byId('ages-table', HTMLElement).append(
    scrollingTable('Cost by age', headings('Age', 'Snapshots', 'GiB', 'Cost per month'), rows),
  );
}

const headings = (first: string, ...numbers: string[]) => [
  { text: first },
  ...numbers.map((text) => ({ text, isNumber: true })),
];

const MEASURES = [
  { key: 'cost', title: 'Cost', value: ({ cost }: TrendMonth) => cost },
  { key: 'gib', title: 'GiB', value: ({ gib: size }: TrendMonth) => size },
  { key: 'snapshots', title: 'Snapshots', value: ({ snapshotCount }: TrendMonth) => snapshotCount },
] as const;

type Measure = (typeof MEASURES)[number];

function drawTrend(months: readonly TrendMonth[]): void {
  const tools = document.getElementById('trend-tools');
  const [first] = MEASURES;
  if (tools === null || months.length === 0) return;
  const choices = MEASURES.map((measure) =>
    measureChoice(measure, measure === first, () => drawMeasure(months, measure)),
  );
  tools.append(element('fieldset', { class: 'segments' }, element('legend', { class: 'unseen' }, 'Shown'), ...choices));
  drawMeasure(months, first);
}

function measureChoice({ key, title }: Measure, isFirst: boolean, onChoice: () => void): HTMLElement {
  const input = element('input', { type: 'radio', name: 'trend-measure', value: key, checked: isFirst });
  input.addEventListener('change', onChoice);
  return element('label', {}, input, element('span', {}, title));
}

function drawMeasure(months: readonly TrendMonth[], { key, value }: Measure): void {
  const currency = months[0]?.currency ?? '';
  const highest = Math.max(...months.map(value));
  const text = (amount: number) => (key === 'cost' ? axisMoney(amount, currency, highest) : integer(amount));
  drawChart('trend', (colors) =>
    columns(
      colors,
      months.map(({ month }) => day(month)),
      months.map(value),
      text,
    ),
  );
}

const columns = (
  colors: Colors,
  labels: string[],
  data: number[],
  text: (value: number) => string,
): ChartConfiguration => ({
  type: 'bar',
  data: { labels, datasets: [{ data, ...fill(colors.stays), maxBarThickness: 48 }] },
  options: {
    plugins: { legend: { display: false }, tooltip: { callbacks: { label: ({ parsed }) => text(parsed.y ?? 0) } } },
    scales: { x: namesBelow(colors), y: amountAxis(colors, text) },
  },
});
