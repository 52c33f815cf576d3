/** Creates elements from text and other elements. Text is never parsed as markup. */

export type Child = Node | string | null;

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, string | number | boolean | null> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(made, name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** `false` and `null` omit the attribute; `true` sets an empty one. */
function setAttribute(target: Element, name: string, value: string | number | boolean | null): void {
  if (value !== false && value !== null) target.setAttribute(name, value === true ? '' : String(value));
}

export function button(
  attributes: Record<string, string | number | boolean | null>,
  onPress: () => void,
  ...children: Child[]
) {
  const made = element('button', { type: 'button', ...attributes }, ...children);
  made.addEventListener('click', onPress);
  return made;
}

/** @throws Error if the page has no such element. */
export function byId<Type extends HTMLElement>(id: string, type: abstract new () => Type): Type {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

export interface TableCell {
  text: string | Node;
  isNumber?: boolean;
  isHeader?: boolean;
  /** Whether its text may wrap. */
  isWrapping?: boolean;
}

/** A table that scrolls horizontally by itself on a narrow screen. */
export function scrollingTable(
  name: string,
  headings: readonly TableCell[],
  rows: readonly (readonly TableCell[])[],
): HTMLElement {
  const table = element(
    'table',
    { class: 'plain' },
    element('thead', {}, element('tr', {}, ...headings.map((cell) => cellElement('th', cell, 'col')))),
    element('tbody', {}, ...rows.map(tableRow)),
  );
  return element('div', { class: 'scrolling', role: 'region', 'aria-label': name, tabindex: 0 }, table);
}

export const tableRow = (cells: readonly TableCell[]): HTMLElement =>
  element(
    'tr',
    {},
    ...cells.map((cell) => cellElement(cell.isHeader ? 'th' : 'td', cell, cell.isHeader ? 'row' : null)),
  );

const cellElement = (tag: 'th' | 'td', { text, isNumber, isWrapping }: TableCell, scope: string | null): HTMLElement =>
  element(tag, { scope, class: isNumber ? 'number' : isWrapping ? 'wrapping' : null }, text);
