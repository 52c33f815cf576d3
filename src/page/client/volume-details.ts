/** The details of a volume: the reason for the recommendation, the other choices, and the snapshots. */
import type { ChangeRate, Choice, MeasuredRatio, Outlook } from '../../costs/analysis.ts';
import { changeText } from '../../costs/change-rate.ts';
import { ratioText } from '../../costs/compression.ts';
import type { PageChoices, PageSnapshot, PageVolume } from '../model/page-data.ts';
import { choiceName, counted, day, gib, integer, money, percent, sentence, signed } from '../model/words.ts';
import { button, element, scrollingTable, type TableCell, tableRow } from './dom.ts';

const NONE = '–';

export function volumeDetails(volume: PageVolume): HTMLElement {
  const { choices, advice, currency, measured, change, outlook } = volume;
  return element(
    'div',
    { class: 'detail' },
    element('p', { class: 'reason' }, element('bdi', {}, sentence(advice.reason))),
    ...(measured === null ? [] : [compressionOf(measured)]),
    ...(change ? [element('p', {}, changeOf(change))] : []),
    ...(outlook ? [element('p', {}, outlookText(outlook, typeof change?.days === 'number', currency))] : []),
    ...(choices === null ? [] : choicesOf(choices, currency)),
    element('h4', {}, counted(volume.snapshots.length, 'snapshot')),
    snapshotTables(volume),
  );
}

const compressionOf = ({ compression, archives }: MeasuredRatio): HTMLElement =>
  element(
    'p',
    {},
    `Archives of this volume compress ${ratioText(compression)} (measured on ${counted(archives, 'archive')}).`,
  );

function changeOf(change: ChangeRate): string {
  const { is, days } = change;
  const every = days === null ? '' : `, ${counted(Number(days.toPrecision(2)), 'day')} apart on average`;
  const why = is === 'measured' ? every : ': there are no two snapshots of the volume that could be compared';
  return sentence(`${changeText(change)}${why}`);
}

function outlookText(
  { months, snapshots, days, ebs, full, incremental }: Outlook,
  isMeasured: boolean,
  currency: string,
): string {
  const every = days === 1 ? 'daily' : `one every ${counted(Number(days.toPrecision(2)), 'day')}`;
  const what = `${counted(snapshots, 'snapshot')}, ${every}${isMeasured ? '' : ', an assumption'}`;
  const costs = `${money(ebs, currency)} in EBS, ${money(full, currency)} as full archives and ${money(incremental, currency)} as incremental archives in S3 Deep Archive`;
  return `If snapshots continue at this rate and are all kept for ${counted(months, 'month')} (${what}), they will cost per month: ${costs}.`;
}

const commandNote = ({ chain }: Choice): string =>
  chain === undefined
    ? 'snap-to-s3 migrate --incremental writes incremental archives.'
    : `snap-to-s3 migrate --incremental writes incremental archives: ${counted(chain.bases, 'base')} and ${counted(chain.packs, 'pack')}, of which restoring one snapshot reads at most ${gib(chain.mostThawedGiB)} GiB.`;

const CHOICE_HEADINGS: readonly TableCell[] = [
  { text: 'Choice' },
  ...numbers('Stored GiB', 'Cost per month', 'Saving per month', 'One-time cost'),
  { text: 'Pays off by' },
  ...numbers('Minimum duration', 'Restore cost'),
  { text: 'Restore time' },
];

function numbers(...titles: string[]): TableCell[] {
  return titles.map((text) => ({ text, isNumber: true }));
}

function choicesOf({ shown, best, others }: PageChoices, currency: string): HTMLElement[] {
  const notes = [
    others === 0
      ? ''
      : `${counted(others, 'choice')} that ${others === 1 ? 'does' : 'do'} not save more ${others === 1 ? 'is' : 'are'} not shown.`,
    ...shown.filter((choice, index) => index === best && choice.form === 'incremental').map(commandNote),
  ];
  return [
    element('h4', {}, 'Choices for all snapshots of the volume'),
    choicesTable(shown, best, currency),
    element('p', { class: 'note' }, notes.filter(Boolean).join(' ')),
  ];
}

function choicesTable(choices: readonly Choice[], best: number, currency: string): HTMLElement {
  const rows = choices.map((choice, index) => choiceCells(choice, index === best, currency));
  const table = scrollingTable('Choices', CHOICE_HEADINGS, rows);
  table.querySelectorAll('tbody tr')[best]?.classList.add('best');
  return table;
}

function choiceCells(choice: Choice, isBest: boolean, currency: string): TableCell[] {
  const isKept = choice.what === 'keep';
  return [
    { text: `${choiceName(choice)}${isBest ? ' (best)' : ''}`, isHeader: true },
    ...numbers(
      gib(choice.storedGiB),
      money(choice.monthly, currency),
      isKept ? NONE : signed(money(choice.saving, currency), choice.savingIs),
      isKept ? NONE : money(choice.oneOff, currency),
    ),
    { text: choice.breakEven === null ? NONE : day(choice.breakEven) },
    ...numbers(
      choice.minimumDays === 0 ? NONE : counted(choice.minimumDays, 'day'),
      money(choice.restore.cost, currency),
    ),
    { text: choice.restore.takes },
  ];
}

const SNAPSHOTS_PER_PAGE = 100;

/** A volume can have thousands of snapshots, so they are shown in steps of a hundred. */
function snapshotTables(volume: PageVolume): HTMLElement {
  const frame = scrollingTable('Snapshots', snapshotHeadings(volume), []);
  const body = frame.querySelector('tbody');
  let shown = 0;
  const more = button({ class: 'more' }, showMore);
  showMore();
  return element('div', {}, frame, more);

  function showMore(): void {
    const next = volume.snapshots.slice(shown, shown + SNAPSHOTS_PER_PAGE);
    body?.append(...next.map((snapshot) => tableRow(snapshotCells(snapshot, volume.currency))));
    shown += next.length;
    more.hidden = shown === volume.snapshots.length;
    more.textContent = `Show ${Math.min(SNAPSHOTS_PER_PAGE, volume.snapshots.length - shown)} more; ${integer(shown)} of ${integer(volume.snapshots.length)} shown`;
  }
}

const snapshotHeadings = ({ sizeGiB }: PageVolume): TableCell[] => [
  { text: 'Taken' },
  { text: 'Snapshot' },
  ...numbers('Billed GiB', sizeGiB === null ? 'Share' : 'Share of the volume', 'Full size, GiB', 'Cost per month'),
  { text: 'Best choice if moved alone' },
  ...numbers('Saving per month'),
];

function snapshotCells(snapshot: PageSnapshot, currency: string): TableCell[] {
  const { best } = snapshot;
  const isMoved = best !== null && best.what !== 'keep';
  return [
    { text: snapshot.startedAt === null ? 'unknown' : day(snapshot.startedAt), isHeader: true },
    { text: snapshotName(snapshot), isWrapping: true },
    ...numbers(
      gib(snapshot.gib),
      snapshot.share === null ? NONE : percent(snapshot.share),
      snapshot.fullGiB === null ? NONE : gib(snapshot.fullGiB),
      money(snapshot.monthly, currency),
    ),
    { text: best === null ? NONE : choiceName(best) },
    ...numbers(isMoved ? signed(money(best.saving, currency), best.savingIs) : NONE),
  ];
}

function snapshotName({ id, description, tier, images }: PageSnapshot): HTMLElement {
  return element(
    'span',
    { class: 'snapshot' },
    element('bdi', { class: 'id' }, id),
    tier === 'archive' ? element('span', { class: 'tag' }, 'archive tier') : null,
    images.length === 0 ? null : element('span', { class: 'tag' }, element('bdi', {}, `used by ${images.join(', ')}`)),
    description === null || description === '' ? null : element('bdi', { class: 'description' }, description),
  );
}
