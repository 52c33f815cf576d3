/** Events of `analyze` as lines of text. */
import { ratioText } from '../../../costs/compression.ts';
import type { CostEvent } from '../../../events.ts';
import { count, formatDollars, formatDuration } from '../../../lib/units.ts';
import type { Lines } from './line.ts';

export const COST_LINES: Lines<CostEvent> = {
  'report.read'(event) {
    const { name, format, granularity, rows, ofSnapshots, broken, unclear, seconds } = event;
    const bad = broken === 0 ? '' : `, ${broken} MALFORMED`;
    const doubtful = unclear === 0 ? '' : `, ${unclear} NOT UNDERSTOOD`;
    const counts = `${count(rows, 'row')}, ${ofSnapshots} about snapshots${bad}${doubtful}`;
    return `${name}: ${format}, ${granularity}: ${counts}, in ${formatDuration(seconds)}`;
  },
  'ratio.measured'(event) {
    const { bucket, prefix, compression, archives, leftOut } = event;
    const others = leftOut === 0 ? '' : `, ${leftOut} cannot be measured`;
    return `s3://${bucket}/${prefix}: ${ratioText(compression)}, measured on ${count(archives, 'archive')}${others}`;
  },
  'region.described'(event) {
    const { region, snapshots, volumes, images } = event;
    return `${region}: EC2 lists ${count(snapshots, 'snapshot')}, ${count(volumes, 'volume')}, ${count(images, 'image')}`;
  },
  'live.planned'(event) {
    const { region, snapshots, requests, dollars } = event;
    const cost = `at most ${count(requests, 'request')}, ${formatDollars(dollars)}`;
    return `${region}: comparing ${count(snapshots, 'snapshot')} through the EBS direct APIs (${cost})`;
  },
};
