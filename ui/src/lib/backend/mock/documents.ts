import { unitOfKind } from '../../text/kind';
import { codePointLength } from '../../text/offsets';
import type { AnswerPassage, Citation, Hit, Place, Source, SourceBlock } from '../../types';

type Kind = SourceBlock['kind'];

const h = (level: number): Kind => ({ heading: level });

/** A document from its blocks, offsets counted as the application counts them. */
function source(
  path: string,
  kind: string,
  title: string,
  blocks: [Kind, string, (number | null)?][],
): Source {
  let start = 0;
  let page: number | null = null;
  const placed = blocks.map(([blockKind, text, newPage]) => {
    page = newPage ?? page;
    const block = { kind: blockKind, page, start, text };
    start += codePointLength(text) + 2;
    return block;
  });
  return {
    path,
    kind,
    title,
    page_count: page,
    missing: false,
    changed: false,
    bytes: 0,
    content: 'c0ffee',
    blocks: placed,
  };
}

export const lease = source(
  '/home/ada/Documents/Flat/Lease agreement.pdf',
  'pdf',
  'Lease agreement',
  [
    [h(1), 'Lease agreement', 1],
    [
      'paragraph',
      'Between Marta Lindqvist (landlord) and Ada Okafor (tenant), for the flat at 14 Harbour Street, second floor, with 62 m² of living space and one cellar room.',
    ],
    [h(2), '§ 1 Rent'],
    [
      'paragraph',
      'The monthly rent is 1,180 euros and is due on the third working day of each month. Heating and water are paid in advance with 140 euros a month and settled once a year.',
    ],
    [
      'table',
      'Item | Amount | Due\nRent | 1,180 € | monthly\nHeating and water | 140 € | monthly, settled yearly\nDeposit | 3,540 € | before moving in',
    ],
    [h(2), '§ 2 Deposit'],
    [
      'paragraph',
      'The tenant pays a deposit of three monthly rents, 3,540 euros, before moving in. The landlord returns it within six months after the end of the lease, less any justified claims.',
    ],
    [h(2), '§ 3 Repairs', 2],
    [
      'paragraph',
      'The tenant bears the cost of small repairs up to 110 euros each, and no more than 400 euros a year. Anything beyond that is the landlord’s.',
    ],
    ['listitem', 'Taps, switches, locks and window handles count as small repairs.'],
    ['listitem', 'The boiler, pipes and wiring never do.'],
    [h(2), '§ 4 Notice'],
    [
      'paragraph',
      'The tenant may end the lease with three months’ notice to the end of a month. Notice must be given in writing; an e-mail is not enough. The landlord’s period of notice grows with the length of the lease: three months in the first five years, six months after five years, and nine months after eight years.',
    ],
    ['paragraph', 'Where several tenants have signed, all of them must give notice together.'],
    [h(2), '§ 5 Handover', 3],
    [
      'paragraph',
      'The flat is handed over clean and with all keys. Both parties sign a record of its condition with photographs of every room.',
    ],
    [
      'paragraph',
      'Pets other than small caged animals need the landlord’s consent, which may not be refused without a reason.',
    ],
  ],
);

export const boiler = source(
  '/home/ada/Documents/Flat/Boiler manual.pdf',
  'pdf',
  'Boiler manual, model HX-24',
  [
    [h(1), 'Boiler manual, model HX-24', 1],
    [
      'paragraph',
      'Keep this manual near the boiler. Work on gas lines is for qualified persons only.',
    ],
    [h(2), 'Daily use', 12],
    [
      'paragraph',
      'The water pressure should stand between 1.2 and 1.8 bar while the system is cold. Below 0.8 bar the boiler switches itself off and shows F.22.',
    ],
    [h(3), 'Refilling'],
    ['listitem', 'Close all radiator valves.'],
    ['listitem', 'Open the filling tap slowly until the gauge shows 1.5 bar.'],
    ['listitem', 'Close the tap and press Reset for two seconds.'],
    [h(2), 'Fault codes', 13],
    [
      'table',
      'Code | Meaning | What to do\nF.22 | Water pressure too low | Refill to 1.5 bar\nF.28 | No ignition | Check the gas valve, then press Reset\nF.75 | Pump does not start | Call the service',
    ],
    ['code', 'RESET      hold 2 s\nSERVICE    hold 10 s\nLOCK       hold + and - together'],
  ],
);

export const garden = source('/home/ada/Documents/Notes/Garden.md', 'md', 'Garden notes 🌱', [
  [h(1), 'Garden notes 🌱'],
  [
    'paragraph',
    '🍅🍅 Tomatoes: sown on 12 March, planted out on 18 May. The variety “Ruthje” gave the most fruit, “Harzfeuer” the earliest.',
  ],
  [
    'paragraph',
    '🥕 Carrots failed again; the soil by the wall is too heavy. Next year: the raised bed.',
  ],
]);

export const minutes = source('/home/ada/Documents/Notes/会议纪要.md', 'md', '会议纪要 2025年3月', [
  [h(1), '会议纪要 2025年3月'],
  ['paragraph', '出席：李华、王敏、陈伟。本次会议讨论了第二季度的预算和新办公室的搬迁时间。'],
  [h(2), '搬迁'],
  ['paragraph', '搬迁定于六月十四日开始，预计两天完成。𠮷田物流负责运输，费用为四万二千元。'],
  [h(2), '预算'],
  ['paragraph', '第二季度预算为三十五万元，其中培训费用六万元，需在四月底前报批。'],
]);

/** A text of about a megabyte. */
function longText(): Source {
  const paragraph =
    'The quick brown fox jumps over the lazy dog, and the day goes on as before. '.repeat(6);
  const blocks = Array.from({ length: 2_300 }, (_, n): [Kind, string] =>
    n % 20 === 0 ? [h(2), `Chapter ${n / 20 + 1}`] : ['paragraph', `${n}. ${paragraph}`],
  );
  blocks.splice(1_500, 0, [
    'paragraph',
    'The lighthouse keeper wrote this sentence in the middle of a very long book.',
  ]);
  return source('/home/ada/Documents/Notes/Long book.txt', 'txt', 'Long book', blocks);
}

export const long = longText();

export const program = source('/home/ada/Documents/Work/delivery.py', 'code', 'delivery.py', [
  ['code', '# What delivery costs\nFREE_FROM = 10'],
  [
    'code',
    'def delivery(lamps: int) -> float:\n    \"\"\"Euros for so many lamps.\"\"\"\n    if lamps > FREE_FROM:\n        return 0.0\n    return 4.9',
  ],
]);

/** A photograph of a receipt, whose text was recognised. */
export const receipt = source('/home/ada/Documents/Work/Receipt.png', 'image', 'Receipt.png', [
  ['paragraph', 'Harbour Lamps Ltd', 1],
  ['paragraph', '12 lamps 588.00'],
  ['paragraph', 'Delivery 0.00'],
  ['paragraph', 'Total 588.00'],
]);

/** A scanned register of a thousand pages. */
export const register = source(
  '/home/ada/Archive/Register.pdf',
  'pdf',
  'Register of the harbour',
  Array.from({ length: 1_000 }, (_, n): [Kind, string, number] => [
    'paragraph',
    `Entry ${n + 1}: the ship number ${7_919 * (n + 1)} came in with the tide.`,
    n + 1,
  ]),
);

function work(
  name: string,
  kind: string,
  title: string,
  blocks: [Kind, string, (number | null)?][],
): Source {
  return source(`/home/ada/Documents/Work/${name}`, kind, title, blocks);
}

/** A note that is written from right to left, with words that are not. */
export const hebrew = work('מגדלור.md', 'md', 'המגדלור', [
  [h(1), 'המגדלור'],
  ['paragraph', 'המגדלור נבנה בשנת 1887. השומרת היא Amina Sørensen, והאור שלו ירוק.'],
  ['listitem', 'הפנס נדלק כל ערב.'],
  ['table', 'שנה | גובה\n1887 | 31 m\n1912 | 34 m'],
]);

export const slides = work('Launch plan.pptx', 'pptx', 'Launch plan', [
  [h(1), 'Launch of the reading lamp', 1],
  [h(1), 'Goals', 2],
  ['listitem', 'Two thousand lamps in the first quarter.'],
  [h(1), 'Dates', 3],
  ['paragraph', 'The lamp goes on sale on 2 November in three cities.'],
]);

export const sheets = work('Sales.xlsx', 'xlsx', 'Sales', [
  [h(1), 'Cities', 1],
  ['table', 'City | Shops\nLisbon | 14\nTurin | 9'],
  [h(1), 'Launch week', 2],
  ['table', 'City | Lamps sold\nLisbon | 412\nTurin | 287'],
]);

export const mailbox = work('Team.mbox', 'mbox', 'Team.mbox', [
  [h(1), 'Stock', 4],
  ['paragraph', 'From: Noor Haddad. The second pallet arrived this morning.'],
  [h(1), 'Re: Launch', 5],
  ['paragraph', 'From: Tomás Vidal\nTo: Noor Haddad\nSubject: Re: Launch'],
  ['paragraph', 'The Turin shop sold out on Saturday; please send forty more.'],
]);

export const settings = work('launch.yaml', 'code', 'launch.yaml', [
  ['code', 'discount:\n  until: 2026-11-30\n  percent: 15'],
]);

export const subtitles = work('Launch film.srt', 'srt', 'Launch film.srt', [
  ['paragraph', 'It folds flat, and a full battery reads for forty nights.'],
]);

export const book = work('Light.epub', 'epub', 'On light', [
  [h(1), 'Warm and cold', 4],
  ['paragraph', 'Readers who were asked preferred a warm lamp of 2,700 kelvin.'],
]);

export const notebook = work('Forecast.ipynb', 'ipynb', 'Forecast.ipynb', [
  ['code', 'forecast.sum()', 11],
  ['code', 'The first quarter comes to 2,140 lamps.', 12],
]);

export const archive = work('Press.zip', 'zip', 'Press.zip', [
  [h(1), 'press/review.txt', 7],
  ['paragraph', 'The reviewer calls it the best lamp below sixty euros.'],
]);

export const documents: readonly Source[] = [
  lease,
  boiler,
  garden,
  minutes,
  hebrew,
  long,
  slides,
  sheets,
  mailbox,
  settings,
  subtitles,
  book,
  notebook,
  archive,
  program,
  receipt,
  register,
];

/** A line, row or second for every passage of a document, since none is read from a file. */
const lines = new Map([
  [long, 120],
  [sheets, 14],
  [settings, 31],
  [subtitles, 95],
]);

/** What the application says of the places in a document. */
function placeOf(document: Source): Place {
  const { kind } = document;
  const unit = unitOfKind(kind);
  const line = lines.get(document) ?? null;
  const line_unit = kind === 'xlsx' ? 'row' : kind === 'srt' ? 'second' : 'line';
  return { unit: unit === 'part' ? null : unit, line, line_unit };
}

/** A block as a search finds it. */
export function hit(document: Source, block: SourceBlock, score: number): Hit {
  return {
    document: document.path,
    page: block.page,
    place: placeOf(document),
    score,
    lexical: null,
    semantic: null,
    reranked: null,
    text: block.text,
    start: block.start,
    end: block.start + codePointLength(block.text),
    rects: [],
    heading: headingAbove(document, block),
  };
}

/** The place of some words in a document, and the block that holds them. */
function locate(
  document: Source,
  words: string,
): { block: SourceBlock; start: number; end: number } {
  for (const block of document.blocks) {
    const found = block.text.indexOf(words);
    if (found < 0) continue;
    const start = block.start + codePointLength(block.text.slice(0, found));
    return { block, start, end: start + codePointLength(words) };
  }
  throw new Error(`“${words}” is not in ${document.path}`);
}

export function cite(n: number, document: Source, quote: string): Citation {
  const { block, start, end } = locate(document, quote);
  return {
    n,
    document: document.path,
    page: block.page,
    place: placeOf(document),
    start,
    end,
    quote,
    rects: [],
    heading: headingAbove(document, block),
    content: 'c0ffee',
  };
}

/** The passage around some words. */
export function passage(
  n: number | null,
  document: Source,
  words: string,
  score: number,
): AnswerPassage {
  const { block } = locate(document, words);
  return {
    n,
    document: document.path,
    page: block.page,
    place: placeOf(document),
    text: block.text,
    start: block.start,
    end: block.start + codePointLength(block.text),
    score,
    heading: headingAbove(document, block),
  };
}

/** The headings above a block, outermost first. */
export function headingAbove(document: Source, block: SourceBlock): string[] {
  const path: string[] = [];
  for (const other of document.blocks) {
    if (other === block) break;
    if (typeof other.kind !== 'object') continue;
    path.length = Math.min(path.length, other.kind.heading - 1);
    path.push(other.text);
  }
  return path;
}
