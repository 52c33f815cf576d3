/** Events of `clean` and `doctor`. */

export type UpkeepEvent =
  | {
      code: 'clean.found';
      snapshot: string;
      kind: string;
      id: string;
      what: string;
      ageSeconds: number | null;
      dollarsMonth: number | null;
      obstacle: string | null;
    }
  | { code: 'clean.removed'; snapshot: string; kind: string; id: string }
  | {
      code: 'clean.finished';
      isDryRun: boolean;
      found: number;
      removed: number;
      left: number;
      /** Monthly cost of the remaining leftovers in US dollars. */
      dollarsMonth: number;
    }
  | {
      code: 'doctor.finding';
      check: string;
      verdict: 'ok' | 'warning' | 'problem';
      detail: string;
      hint: string | null;
    }
  | { code: 'doctor.finished'; warnings: number; problems: number };
