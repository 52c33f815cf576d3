/** Values of flags, checked where they are read. */
import { InvalidArgumentError } from 'commander';

export const wholeNumber =
  (lowest: number, highest: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < lowest || value > highest) {
      throw new InvalidArgumentError(`It must be a whole number from ${lowest} to ${highest}.`);
    }
    return value;
  };

export const matching =
  (pattern: RegExp, expected: string) =>
  (text: string): string => {
    if (!pattern.test(text)) throw new InvalidArgumentError(`It must be ${expected}.`);
    return text;
  };

/** For flags that take several values or may be given again. */
export const collect =
  (read: (text: string) => string) =>
  (text: string, previous: string[] | undefined): string[] => [...(previous ?? []), read(text)];
