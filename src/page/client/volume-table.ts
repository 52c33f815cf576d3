/** The list of volumes, with filters, sorting, pages and details. */
import type { PageVolume } from '../model/page-data.ts';
import { COLUMNS, type Column, selectVolumes, type VolumeQuery } from '../model/volume-rows.ts';
import { counted, integer } from '../model/words.ts';
import { button, byId, element } from './dom.ts';
import { volumeDetails } from './volume-details.ts';

const ROWS_PER_PAGE = 25;

export class VolumeTable {
  readonly #volumes: readonly PageVolume[];
  readonly #open = new Set<PageVolume>();
  readonly #body = element('tbody', { role: 'rowgroup' });
  readonly #headings = new Map<string, HTMLElement>();
  #selection: VolumeQuery = { text: '', region: '', choice: '', sort: { key: 'saving', isDescending: true } };
  #selected: PageVolume[] = [];
  #page = 0;

  constructor(volumes: readonly PageVolume[]) {
    this.#volumes = volumes;
    byId('volumes-table', HTMLElement).append(
      element(
        'table',
        { class: 'volumes', role: 'table', 'aria-label': 'Volumes' },
        element(
          'thead',
          { role: 'rowgroup' },
          element('tr', { role: 'row' }, ...COLUMNS.map((column) => this.#heading(column))),
        ),
        this.#body,
      ),
    );
    this.#listen();
    this.#select({});
  }

  /** Shows the first rows of the whole list for printing, which has no pager. */
  showForPrint(rows: number): void {
    this.#showRows(0, rows);
  }

  show(): void {
    this.#showRows(this.#page * ROWS_PER_PAGE, ROWS_PER_PAGE);
    this.#showPager();
  }

  #heading(column: Column): HTMLElement {
    const sort = button({ class: 'sort' }, () => this.#sortBy(column), column.title);
    const heading = element(
      'th',
      { scope: 'col', role: 'columnheader', class: column.isNumber ? 'number' : null },
      sort,
    );
    this.#headings.set(column.key, heading);
    return heading;
  }

  /** Reverses the order if the list is already sorted by the column. Numbers are sorted in descending order first. */
  #sortBy({ key, isNumber }: Column): void {
    const { sort } = this.#selection;
    const isDescending = sort.key === key ? !sort.isDescending : isNumber;
    this.#select({ sort: { key, isDescending } });
  }

  #listen(): void {
    const text = byId('filter-text', HTMLInputElement);
    const region = byId('filter-region', HTMLSelectElement);
    const choice = byId('filter-choice', HTMLSelectElement);
    text.addEventListener('input', () => this.#select({ text: text.value }));
    region.addEventListener('change', () => this.#select({ region: region.value }));
    choice.addEventListener('change', () => this.#select({ choice: choice.value }));
    byId('filters', HTMLFormElement).addEventListener('submit', (event) => event.preventDefault());
    this.#listenToSortBox(byId('sort-by', HTMLSelectElement));
  }

  /** Narrow screens show rows as cards without headings, so sorting needs a separate control. */
  #listenToSortBox(box: HTMLSelectElement): void {
    box.append(...COLUMNS.map(({ key, title }) => element('option', { value: key }, title)));
    box.addEventListener('change', () => {
      const column = COLUMNS.find(({ key }) => key === box.value);
      if (column !== undefined) this.#select({ sort: { key: column.key, isDescending: column.isNumber } });
    });
  }

  #select(change: Partial<VolumeQuery>): void {
    this.#selection = { ...this.#selection, ...change };
    this.#selected = selectVolumes(this.#volumes, this.#selection);
    this.#page = 0;
    const { key, isDescending } = this.#selection.sort;
    for (const [of, heading] of this.#headings) {
      if (of === key) heading.setAttribute('aria-sort', isDescending ? 'descending' : 'ascending');
      else heading.removeAttribute('aria-sort');
    }
    byId('sort-by', HTMLSelectElement).value = key;
    this.show();
  }

  #showRows(from: number, maxRows: number): void {
    const shown = this.#selected.slice(from, from + maxRows);
    this.#body.replaceChildren(...shown.flatMap((volume) => this.#rows(volume)));
    const total = this.#volumes.length;
    const found = this.#selected.length;
    const range = shown.length === found ? '' : `${integer(from + 1)}–${integer(from + shown.length)} of `;
    const filtered = found === total ? '' : ` (${integer(total)} in total)`;
    byId('volumes-status', HTMLElement).textContent =
      found === 0 ? 'No volumes match.' : `${range}${counted(found, 'volume')}${filtered}`;
  }

  #rows(volume: PageVolume): HTMLElement[] {
    const isOpen = this.#open.has(volume);
    const row = element('tr', { role: 'row', class: volume.advice.moved > 0 ? null : 'stays' });
    const toggle = button(
      { class: 'toggle', 'aria-expanded': isOpen ? 'true' : 'false' },
      () => this.#toggle(volume, row, toggle),
      ...title(volume),
    );
    row.append(...COLUMNS.map((column) => cell(column, volume, toggle)));
    return isOpen ? [row, detailsRow(volume)] : [row];
  }

  #toggle(volume: PageVolume, row: HTMLElement, toggle: HTMLElement): void {
    const isOpen = !this.#open.delete(volume);
    if (isOpen) {
      this.#open.add(volume);
      row.after(detailsRow(volume));
    } else row.nextElementSibling?.remove();
    toggle.setAttribute('aria-expanded', String(isOpen));
  }

  #showPager(): void {
    const last = Math.max(0, Math.ceil(this.#selected.length / ROWS_PER_PAGE) - 1);
    const pager = byId('volumes-pager', HTMLElement);
    pager.hidden = last === 0;
    const turn = (text: string, page: number) => {
      const isUseless = page < 0 || page > last || page === this.#page;
      return button(
        { 'aria-disabled': isUseless ? 'true' : null, 'data-turn': text },
        () => isUseless || this.#turnTo(page, text),
        text,
      );
    };
    pager.replaceChildren(
      turn('First', 0),
      turn('Previous', this.#page - 1),
      element('span', {}, `Page ${integer(this.#page + 1)} of ${integer(last + 1)}`),
      turn('Next', this.#page + 1),
      turn('Last', last),
    );
  }

  /** The buttons are recreated, so the focus is set to the new button in place of the pressed one. */
  #turnTo(page: number, pressed: string): void {
    this.#page = page;
    this.show();
    byId('volumes-pager', HTMLElement).querySelector<HTMLElement>(`[data-turn="${pressed}"]`)?.focus();
  }
}

/** The name of the volume, and below it its id, its size and whether it was deleted. */
function title({ id, name, sizeGiB, isDeleted }: PageVolume): HTMLElement[] {
  const facts = [
    name === null || id === null ? null : element('bdi', {}, id),
    sizeGiB === null ? null : element('span', {}, `${integer(sizeGiB)} GiB`),
    isDeleted ? element('span', { class: 'tag' }, 'deleted') : null,
  ];
  return [
    element('bdi', { class: 'name' }, name ?? id ?? 'Unknown volume'),
    element('span', { class: 'facts' }, ...facts),
  ];
}

function cell(column: Column, volume: PageVolume, toggle: HTMLElement): HTMLElement {
  if (column.key === 'volume') return element('th', { scope: 'row', role: 'rowheader' }, toggle);
  const text = element(column.key === 'region' ? 'bdi' : 'span', {}, column.text(volume));
  return element(
    'td',
    { role: 'cell', class: `${column.key}${column.isNumber ? ' number' : ''}`, 'data-label': column.title },
    text,
  );
}

const detailsRow = (volume: PageVolume): HTMLElement =>
  element(
    'tr',
    { role: 'row', class: 'details' },
    element('td', { role: 'cell', colspan: COLUMNS.length }, volumeDetails(volume)),
  );
