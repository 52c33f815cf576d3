/** Writes an analysis in the requested formats. */
import { stringifyChunked } from '@discoveryjs/json-ext';
import type { Analysis } from '../../costs/analysis.ts';
import type { Prices } from '../../costs/price-types.ts';
import type { CliContext } from '../context.ts';
import { planText } from '../plan-file.ts';
import { writeOutputFile } from './output-file.ts';
import { analysisCsv } from './text/analysis-csv.ts';
import { analysisText } from './text/analysis-text.ts';

/** Files to write, and whether standard output gets JSON instead of text. */
export interface AnalysisOutput {
  json?: true;
  csv?: string;
  html?: string;
  plan?: string;
}

/** @throws SnapError `USAGE` if a file cannot be created; `OUTPUT` if its disk is full or broken. */
export async function writeAnalysis(
  analysis: Analysis,
  prices: Prices,
  flags: AnalysisOutput,
  { output, process }: CliContext,
): Promise<void> {
  if (flags.json) await output.printChunks(process.stdout, jsonChunks(analysis));
  else output.printer(process.stdout)(analysisText(analysis));
  if (flags.csv !== undefined) writeOutputFile('--csv', flags.csv, analysisCsv(analysis));
  if (flags.html !== undefined) {
    const { renderPage } = await import('../../page/render-page.ts');
    writeOutputFile('--html', flags.html, renderPage(analysis, prices));
  }
  if (flags.plan !== undefined) writeOutputFile('--plan', flags.plan, planText(analysis));
}

/** The document in chunks, because that of 20,000 snapshots has 100 MB. */
function* jsonChunks(analysis: Analysis): Generator<string> {
  yield* stringifyChunked(analysis, { space: 2 });
  yield '\n';
}
