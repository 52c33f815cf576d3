/** HTML templates that escape all values, because names and descriptions are untrusted. */

class Html {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

export type { Html };

type Part = string | number | Html | readonly Html[] | null;

/** A template that escapes its values, except those that are HTML already; `null` becomes an empty string. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  new Html(strings.map((text, index) => text + sourceOf(parts[index] ?? null)).join(''));

/** Marks trusted source, such as the style and the script of the page, as HTML. */
export const trusted = (source: string): Html => new Html(source);

function sourceOf(part: Part): string {
  if (part === null) return '';
  if (part instanceof Html) return part.source;
  return typeof part === 'object' ? part.map(({ source }) => source).join('') : escapeText(String(part));
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

const escapeText = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');

/**
 * JSON for a script element, escaped so that it cannot end the element or start a comment. Numbers are rounded to eight
 * significant digits, which is exact to a cent up to a million and halves the size.
 */
export const scriptJson = (value: unknown): Html =>
  new Html(JSON.stringify(value, rounded).replace(/[<>&\u2028\u2029]/g, escapeUnicode));

const rounded = (_: string, value: unknown): unknown =>
  typeof value === 'number' ? Number(value.toPrecision(8)) : value;

const escapeUnicode = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
