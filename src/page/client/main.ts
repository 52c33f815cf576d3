/** Fills the page, which is there already, from the data that is in it. */
import type { PageData } from '../model/page-data.ts';
import { drawBill } from './bill-charts.ts';
import { startCalculator } from './calculator.ts';
import { followTheme } from './charts.ts';
import { byId } from './dom.ts';
import { VolumeTable } from './volume-table.ts';

/** Of a list of thousands, as much as people read on paper. */
const ROWS_ON_PAPER = 300;

const data = JSON.parse(byId('data', HTMLScriptElement).textContent ?? '') as PageData;

drawBill(data);
startCalculator(data.calculator);
const table = new VolumeTable(data.volumes);
followTheme();
window.addEventListener('beforeprint', () => table.showForPaper(ROWS_ON_PAPER));
window.addEventListener('afterprint', () => table.show());
