/** Charts, in the colours of the page, whether light, dark or on paper. */
import type { ChartConfiguration } from 'chart.js';
import Chart from 'chart.js/auto';
import { byId } from './dom.ts';

export interface Colours {
  text: string;
  muted: string;
  line: string;
  surface: string;
  /** Of what stays, and of what is saved; `mark` for the one that is looked at. */
  stays: string;
  saved: string;
  mark: string;
}

export type ConfigurationOf = (colours: Colours) => ChartConfiguration;

interface Drawn {
  chart: Chart;
  configurationOf: ConfigurationOf;
}

const drawn = new Map<string, Drawn>();

/** Draws it into the canvas of that id, or anew. */
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

/** Nothing moves: a report is read, not watched. */
function withDefaults(configurationOf: ConfigurationOf): ChartConfiguration {
  const colours = coloursNow();
  Chart.defaults.color = colours.muted;
  Chart.defaults.borderColor = colours.line;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 13;
  const { options, ...rest } = configurationOf(colours);
  return { ...rest, options: { ...options, animation: false, responsive: true, maintainAspectRatio: false } };
}

function coloursNow(): Colours {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: colour('text'),
    muted: colour('muted'),
    line: colour('line'),
    surface: colour('surface'),
    stays: colour('stays'),
    saved: colour('saved'),
    mark: colour('mark'),
  };
}

const repaintAll = (): void => drawn.forEach(repaint);

/** Of paper, in CSS pixels: a chart as wide as the screen would be shrunk until nobody can read it. */
const widthOnPaper = (canvas: Element): number => (canvas.closest('.pair') === null ? 660 : 330);

/** Charts are pictures, so that a style for paper does not reach them. */
export function followTheme(): void {
  for (const query of ['(prefers-color-scheme: dark)', 'print'])
    matchMedia(query).addEventListener('change', repaintAll);
  window.addEventListener('beforeprint', () => {
    document.documentElement.classList.add('on-paper');
    for (const { chart } of drawn.values()) chart.resize(widthOnPaper(chart.canvas), chart.height);
    repaintAll();
  });
  window.addEventListener('afterprint', () => {
    document.documentElement.classList.remove('on-paper');
    for (const { chart } of drawn.values()) chart.resize();
    repaintAll();
  });
}

/** Room for so many horizontal bars, and what stands around them. */
export function setBarRoom(id: string, bars: number): void {
  const frame = byId(id, HTMLCanvasElement).parentElement;
  if (frame !== null) frame.style.height = `${bars * 28 + 84}px`;
}
