/** HTML in which every value is text: names and descriptions come from strangers. */

class Html {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

export type { Html };

type Part = string | number | Html | readonly Html[] | null;

/** A template whose values are escaped, unless they were made by this function; `null` is nothing. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  new Html(strings.map((text, index) => text + sourceOf(parts[index] ?? null)).join(''));

/** For text that is trusted: our own style and scripts. */
export const trusted = (source: string): Html => new Html(source);

function sourceOf(part: Part): string {
  if (part === null) return '';
  if (part instanceof Html) return part.source;
  return typeof part === 'object' ? part.map(({ source }) => source).join('') : escapeText(String(part));
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

const escapeText = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');

/**
 * JSON that may stand in a script element: nothing in it ends the element, or opens a comment. Numbers have eight
 * digits, which is a cent of a million, and half of the size.
 */
export const scriptJson = (value: unknown): Html =>
  new Html(JSON.stringify(value, rounded).replace(/[<>&\u2028\u2029]/g, escapeUnicode));

const rounded = (_: string, value: unknown): unknown =>
  typeof value === 'number' ? Number(value.toPrecision(8)) : value;

const escapeUnicode = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
