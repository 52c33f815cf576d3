/**
 * Prices of all commercial AWS Regions and of GovCloud (US), in US dollars. docs/costs/prices.md describes their sources, and
 * which of them are estimates.
 */

/** The day of the latest price in the table. */
export const SOURCE_DAY = '2026-06-27';

export interface TableRow {
  region: string;
  /** EBS: price per GB-month of snapshots in the standard tier. */
  snapshot: number;
  /** EBS: price per GB-month of gp2 volumes; `null` if not known. */
  gp2: number | null;
  seen: { snapshot: Seen; archive: Seen };
  /** S3: price per GB-month of each storage class. */
  standard: number;
  standardIa: number;
  oneZoneIa: number;
  glacierIr: number;
  glacier: number;
  deepArchive: number;
  /** Price per thousand requests: PUT to Standard, to Glacier and to Deep Archive, and GET. */
  puts: number;
  glacierPuts: number;
  deepArchivePuts: number;
  gets: number;
  /** Price per GB of Standard retrieval from Glacier and from Deep Archive. */
  glacierRead: number;
  deepArchiveRead: number;
}

type Seen = 'list' | 'transcribed' | 'estimated';

/**
 * The letters are the sources of the price of snapshots and of their archive tier: a price list or bill of AWS (l),
 * transcribed by a third party (t), or estimated (e).
 */
const TEXT = `
region         snapshot    gp2     STANDARD IA       ONEZONE  IR      GLACIER  DEEP     PUT      PUT-GL  PUT-DA GET     READ-GL READ-DA
af-south-1     0.0595  le  -       0.0274   0.0149   0.0119   0.005   0.00405  0.0018   0.006    0.036   0.06   0.0004  0.012   0.024
ap-east-1      0.055   te  -       0.025    0.0138   0.011    0.005   0.0045   0.002    0.005    0.036   0.06   0.0004  0.012   0.024
ap-east-2      0.045   ee  -       0.0225   0.01242  0.0099   0.005   0.0045   0.002    0.00423  0.03426 0.0585 0.00033 0.011   0.022
ap-northeast-1 0.05    te  0.12    0.025    0.0138   0.011    0.005   0.0045   0.002    0.0047   0.03426 0.065  0.00037 0.011   0.022
ap-northeast-2 0.05    ll  0.114   0.025    0.0138   0.011    0.005   0.0045   0.002    0.0045   0.03258 0.06   0.00035 0.011   0.022
ap-northeast-3 0.05    te  -       0.025    0.0138   0.011    0.005   0.0045   0.002    0.0047   0.03426 0.065  0.00037 0.011   0.022
ap-south-1     0.05    te  0.114   0.025    0.0138   0.011    0.005   0.0045   0.002    0.005    0.036   0.07   0.0004  0.012   0.024
ap-south-2     0.05    ee  -       0.025    0.0138   0.011    0.005   0.0045   0.002    0.005    0.036   0.07   0.0004  0.012   0.024
ap-southeast-1 0.05    te  0.12    0.025    0.0138   0.011    0.005   0.0045   0.002    0.005    0.036   0.06   0.0004  0.012   0.024
ap-southeast-2 0.055   ll  0.12    0.025    0.0138   0.011    0.005   0.0045   0.002    0.0055   0.036   0.06   0.00044 0.012   0.024
ap-southeast-3 0.05    ee  -       0.025    0.0138   0.011    0.005   0.0045   0.002    0.005    0.036   0.06   0.0004  0.012   0.024
ap-southeast-4 0.055   ee  -       0.025    0.0138   0.011    0.005   0.0045   0.002    0.0055   0.036   0.06   0.00044 0.012   0.024
ap-southeast-5 0.045   ee  -       0.0225   0.01242  0.0099   0.0045  0.00405  0.0018   0.0045   0.0324  0.054  0.00036 0.0108  0.0216
ap-southeast-6 0.05775 ee  -       0.02625  0.01449  0.01155  0.00525 0.004725 0.0021   0.005775 0.0378  0.063  0.00046 0.0126  0.0252
ap-southeast-7 0.045   ee  -       0.0225   0.01242  0.0099   0.0045  0.00405  0.0018   0.0045   0.0324  0.054  0.00036 0.0108  0.0216
ca-central-1   0.055   te  0.11    0.025    0.0138   0.01104  0.005   0.00405  0.0018   0.0055   0.033   0.06   0.00044 0.011   0.022
ca-west-1      0.055   ee  -       0.025    0.0138   0.01104  0.005   0.00405  0.0018   0.0055   0.033   0.06   0.00044 0.011   0.022
eu-central-1   0.054   te  0.119   0.0245   0.0135   0.0108   0.005   0.00405  0.0018   0.0054   0.036   0.06   0.00043 0.012   0.024
eu-central-2   0.0594  ee  -       0.02695  0.01485  0.01188  0.0055  0.004455 0.00198  0.0054   0.036   0.06   0.00043 0.012   0.024
eu-north-1     0.0475  te  -       0.023    0.0125   0.01     0.004   0.0036   0.00099  0.005    0.033   0.055  0.0004  0.01    0.02
eu-south-1     0.0525  ee  0.1155  0.024    0.0131   0.0105   0.005   0.00405  0.0018   0.0053   0.036   0.06   0.0004  0.012   0.024
eu-south-2     0.05    ee  -       0.023    0.0125   0.01     0.005   0.00405  0.0018   0.0053   0.036   0.06   0.0004  0.012   0.024
eu-west-1      0.05    te  0.11    0.023    0.0125   0.01     0.004   0.0036   0.00099  0.005    0.033   0.055  0.0004  0.01    0.02
eu-west-2      0.053   le  0.116   0.024    0.0131   0.01048  0.005   0.00405  0.0018   0.0053   0.0318  0.06   0.00042 0.0105  0.021
eu-west-3      0.053   te  -       0.024    0.0131   0.01048  0.005   0.00405  0.0018   0.0053   0.0318  0.06   0.00042 0.0105  0.021
il-central-1   0.055   ee  -       0.025    0.0138   0.01104  0.005   0.00405  0.0018   0.0055   0.0363  0.0605 0.00044 0.011   0.022
me-central-1   0.055   ee  -       0.025    0.0138   0.01104  0.005   0.00405  0.0018   0.0055   0.0363  0.0605 0.00044 0.011   0.022
me-south-1     0.055   te  -       0.025    0.0138   0.01104  0.005   0.00405  0.0018   0.0055   0.0363  0.0605 0.00044 0.011   0.022
mx-central-1   0.0525  ee  -       0.02415  0.013125 0.0105   0.0042  0.00378  0.002    0.00525  0.0315  0.0525 0.00042 0.0105  0.021
sa-east-1      0.068   le  0.19    0.0405   0.0221   0.0177   0.0083  0.00765  0.0032   0.007    0.042   0.1    0.00056 0.014   0.028
us-east-1      0.05    ll  0.1     0.023    0.0125   0.01     0.004   0.0036   0.00099  0.005    0.03    0.05   0.0004  0.01    0.02
us-east-2      0.05    te  0.1     0.023    0.0125   0.01     0.004   0.0036   0.00099  0.005    0.03    0.05   0.0004  0.01    0.02
us-gov-east-1  0.066   te  -       0.039    0.02     0.016    0.0064  0.0054   0.0024   0.005    0.039   0.065  0.0004  0.013   0.026
us-gov-west-1  0.066   te  -       0.039    0.02     0.016    0.0064  0.0054   0.0024   0.005    0.039   0.065  0.0004  0.013   0.026
us-west-1      0.055   le  0.12    0.026    0.0144   0.0115   0.005   0.0045   0.002    0.0055   0.033   0.06   0.00044 0.011   0.022
us-west-2      0.05    ll  0.1     0.023    0.0125   0.01     0.004   0.0036   0.00099  0.005    0.03    0.05   0.0004  0.01    0.02
`;

const SEEN: Record<string, Seen> = { l: 'list', t: 'transcribed', e: 'estimated' };

const seen = (letter: string | undefined): Seen => SEEN[letter ?? ''] ?? 'estimated';

export const TABLE: readonly TableRow[] = TEXT.trim().split('\n').slice(1).map(parseRow);

function parseRow(line: string): TableRow {
  const [region = '', snapshot, letters = '', gp2, ...others] = line.split(/ +/);
  const [standard = 0, standardIa = 0, oneZoneIa = 0, glacierIr = 0, glacier = 0, deepArchive = 0, ...requests] =
    others.map(Number);
  const [puts = 0, glacierPuts = 0, deepArchivePuts = 0, gets = 0, glacierRead = 0, deepArchiveRead = 0] = requests;
  return {
    region,
    snapshot: Number(snapshot),
    gp2: gp2 === '-' ? null : Number(gp2),
    seen: { snapshot: seen(letters[0]), archive: seen(letters[1]) },
    ...{ standard, standardIa, oneZoneIa, glacierIr, glacier, deepArchive },
    ...{ puts, glacierPuts, deepArchivePuts, gets, glacierRead, deepArchiveRead },
  };
}
