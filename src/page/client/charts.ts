/** Draws charts in the colors of the page: light, dark or printed. */
import type { ChartConfiguration } from 'chart.js';
import Chart from 'chart.js/auto';
import { byId } from './dom.ts';

export interface Colors {
  text: string;
  muted: string;
  line: string;
  surface: string;
  /** Costs that remain, or those of snapshots. */
  stays: string;
  /** Costs that are saved, or options that cost less. */
  saved: string;
  /** Options that cost more. */
  mark: string;
}

export type ConfigurationOf = (colors: Colors) => ChartConfiguration;

interface Drawn {
  chart: Chart;
  configurationOf: ConfigurationOf;
}

const drawn = new Map<string, Drawn>();

/** Draws a chart into the canvas with this id, or redraws it. */
export function drawChart(id: string, configurationOf: ConfigurationOf): void {
  const known = drawn.get(id);
  if (known === undefined) {
    const chart = new Chart(byId(id, HTMLCanvasElement), withDefaults(configurationOf));
    drawn.set(id, { chart, configurationOf });
  } else {
    known.configurationOf = configurationOf;
    repaint(known);
  }
}

function repaint({ chart, configurationOf }: Drawn): void {
  const { data, options } = withDefaults(configurationOf);
  chart.data = data;
  chart.options = options ?? {};
  chart.update();
}

/** Charts are not animated. */
function withDefaults(configurationOf: ConfigurationOf): ChartConfiguration {
  const colors = colorsNow();
  Chart.defaults.color = colors.muted;
  Chart.defaults.borderColor = colors.line;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 13;
  const { options, ...rest } = configurationOf(colors);
  return { ...rest, options: { ...options, animation: false, responsive: true, maintainAspectRatio: false } };
}

function colorsNow(): Colors {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: color('text'),
    muted: color('muted'),
    line: color('line'),
    surface: color('surface'),
    stays: color('stays'),
    saved: color('saved'),
    mark: color('mark'),
  };
}

const repaintAll = (): void => drawn.forEach(repaint);

/** Width for printing in CSS pixels. A chart as wide as the screen would be scaled down until it is unreadable. */
const printWidth = (canvas: Element): number => (canvas.closest('.pair') === null ? 660 : 330);

/** Redraws the charts for the dark theme and for printing, because style sheets do not apply to canvases. */
export function followTheme(): void {
  for (const query of ['(prefers-color-scheme: dark)', 'print'])
    matchMedia(query).addEventListener('change', repaintAll);
  window.addEventListener('beforeprint', () => {
    document.documentElement.classList.add('on-paper');
    for (const { chart } of drawn.values()) chart.resize(printWidth(chart.canvas), chart.height);
    repaintAll();
  });
  window.addEventListener('afterprint', () => {
    document.documentElement.classList.remove('on-paper');
    for (const { chart } of drawn.values()) chart.resize();
    repaintAll();
  });
}

/** Sets the height of a chart for a number of horizontal bars, with its axis and legend. */
export function setBarRoom(id: string, bars: number): void {
  const frame = byId(id, HTMLCanvasElement).parentElement;
  if (frame !== null) frame.style.height = `${bars * 28 + 84}px`;
}
