/** The code page of short names: 437, which `mountReadOnly` requests from the kernel. */

/** The characters of the bytes from 0x80 on. */
const UPPER_HALF =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

/** A first byte 0x05 stands for 0xe5, which marks deleted entries. */
const ESCAPED_LEAD = 0x05;
const LEAD = 0xe5;

/** Decodes a short name, with its spaces, as the kernel does. */
export const decodeShortName = (short: Buffer): string =>
  [...short].map((byte, at) => characterOf(at === 0 && byte === ESCAPED_LEAD ? LEAD : byte)).join('');

const characterOf = (byte: number): string =>
  byte < 0x80 ? String.fromCharCode(byte) : (UPPER_HALF[byte - 0x80] ?? '');
