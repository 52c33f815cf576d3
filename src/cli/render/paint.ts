/** Colors, which are used on terminals only. */
import { styleText } from 'node:util';

export type Stream = NodeJS.WriteStream;

/** @returns the plain text if the stream is not a terminal or `NO_COLOR` is set. */
export const paint = (stream: Stream, style: Parameters<typeof styleText>[0], text: string): string =>
  stream.isTTY ? styleText(style, text, { stream }) : text;
