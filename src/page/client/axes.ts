/** Axes, legends and labels that the charts of the page share. */
import type { Scale } from 'chart.js';
import { money } from '../model/words.ts';
import type { Colors } from './charts.ts';

export const fill = (color: string) => ({ backgroundColor: color, borderRadius: 2, maxBarThickness: 22 });

/** The bar under the pointer, as chart.js describes it. */
interface Pointed {
  dataset: { label?: string | undefined };
  parsed: { x: number | null };
}

export const moneyLabel =
  (currency: string) =>
  ({ dataset, parsed }: Pointed): string =>
    [dataset.label, money(parsed.x ?? 0, currency)].filter(Boolean).join(': ');

export const legend = (colors: Colors) => ({
  position: 'bottom' as const,
  align: 'start' as const,
  onClick: () => undefined,
  labels: { color: colors.muted, boxWidth: 12, boxHeight: 12 },
});

export const amountAxis = (colors: Colors, text: (value: number) => string) => ({
  beginAtZero: true,
  border: { display: false },
  grid: { color: colors.line },
  ticks: {
    color: colors.muted,
    maxTicksLimit: 5,
    maxRotation: 0,
    callback: (value: string | number) => text(Number(value)),
  },
});

export const namesBelow = (colors: Colors) => ({
  border: { color: colors.line },
  grid: { display: false },
  ticks: { color: colors.text, maxRotation: 0, autoSkipPadding: 12 },
});

/** Truncates names to less than half of the width, at about seven pixels per character. The list of volumes has them in full. */
const short = (text: string, width: number): string => {
  const letters = [...text];
  const maxLetters = Math.floor((width * 0.45) / 7);
  return letters.length > maxLetters ? `${letters.slice(0, maxLetters - 1).join('')}…` : text;
};

export const namesBeside = (colors: Colors) => ({
  border: { color: colors.line },
  grid: { display: false },
  ticks: {
    color: colors.text,
    autoSkip: false,
    callback(this: Scale, value: string | number) {
      return short(this.getLabelForValue(Number(value)), this.chart.width);
    },
  },
});
