/** The script of the page: draws the charts, the list and the calculator from the embedded data. */
import type { PageData } from '../model/page-data.ts';
import { drawBill } from './bill-charts.ts';
import { startCalculator } from './calculator.ts';
import { followTheme } from './charts.ts';
import { byId } from './dom.ts';
import { VolumeTable } from './volume-table.ts';

/** Maximum number of volumes that are printed. */
const PRINTED_ROWS = 300;

const data = JSON.parse(byId('data', HTMLScriptElement).textContent ?? '') as PageData;

drawBill(data);
startCalculator(data.calculator);
const table = new VolumeTable(data.volumes);
followTheme();
window.addEventListener('beforeprint', () => table.showForPrint(PRINTED_ROWS));
window.addEventListener('afterprint', () => table.show());
