import { newRequest } from '../../stores/conversation.svelte';
import type {
  Answer,
  AnswerPassage,
  AnswerSentence,
  AskRequest,
  Citation,
  Source,
  SupportLevel,
} from '../../types';
import {
  archive,
  boiler,
  book as light,
  cite,
  garden,
  hebrew,
  lease,
  long,
  mailbox,
  minutes,
  notebook,
  passage,
  program,
  receipt,
  register,
  settings,
  sheets,
  slides,
  subtitles,
} from './documents';

/** What the mock's model says to a question. */
export interface Script {
  text: string;
  abstained: boolean;
  passages: AnswerPassage[];
  citations: Citation[];
  sentences: AnswerSentence[];
}

function sentence(
  text: string,
  citations: number[],
  support: SupportLevel,
  score = 0.9,
): AnswerSentence {
  return { text, citations, support, score };
}

const notice: Script = {
  text:
    'You can end the lease with **three months’ notice** to the end of a month [1]. ' +
    'The notice must be **in writing**; an e-mail is not enough [1].\n\n' +
    'Before you move out:\n' +
    '- Small repairs up to 110 euros each are yours, at most 400 euros a year [2].\n' +
    '- The flat is handed over clean and with all keys, and both parties sign a record [3].\n' +
    '- If the boiler shows `F.22`, refill it to 1.5 bar first [4].\n\n' +
    'The deposit of 3,540 euros comes back within three months [5]. ' +
    'Landlords usually accept a new tenant you suggest [1].',
  abstained: false,
  passages: [
    passage(1, lease, 'three months’ notice', 0.92),
    passage(2, lease, 'small repairs up to', 0.71),
    passage(3, lease, 'handed over clean', 0.66),
    passage(4, boiler, 'F.22 | Water pressure', 0.52),
    passage(5, lease, 'deposit of three monthly', 0.47),
  ],
  citations: [
    cite(
      1,
      lease,
      'The tenant may end the lease with three months’ notice to the end of a month. Notice must be given in writing; an e-mail is not enough.',
    ),
    cite(
      2,
      lease,
      'The tenant bears the cost of small repairs up to 110 euros each, and no more than 400 euros a year.',
    ),
    cite(
      3,
      lease,
      'The flat is handed over clean and with all keys. Both parties sign a record of its condition',
    ),
    cite(4, boiler, 'F.22 | Water pressure too low | Refill to 1.5 bar'),
    cite(5, lease, 'The landlord returns it within six months after the end of the lease'),
  ],
  sentences: [
    sentence(
      'You can end the lease with three months’ notice to the end of a month.',
      [1],
      'supported',
      0.97,
    ),
    sentence('The notice must be in writing; an e-mail is not enough.', [1], 'supported', 0.96),
    sentence('Before you move out:', [], 'none', 0),
    sentence(
      'Small repairs up to 110 euros each are yours, at most 400 euros a year.',
      [2],
      'supported',
    ),
    sentence(
      'The flat is handed over clean and with all keys, and both parties sign a record.',
      [3],
      'supported',
    ),
    sentence('If the boiler shows F.22, refill it to 1.5 bar first.', [4], 'supported'),
    sentence('The deposit of 3,540 euros comes back within three months.', [5], 'partial', 0.48),
    sentence('Landlords usually accept a new tenant you suggest.', [1], 'unsupported', 0.08),
  ],
};

const relocation: Script = {
  text: '搬迁定于**六月十四日**开始，预计两天完成 [1]。运输费用为四万二千元 [2]。',
  abstained: false,
  passages: [passage(1, minutes, '搬迁定于', 0.94), passage(2, minutes, '𠮷田物流', 0.9)],
  citations: [
    cite(1, minutes, '搬迁定于六月十四日开始，预计两天完成。'),
    cite(2, minutes, '费用为四万二千元'),
  ],
  sentences: [
    sentence('搬迁定于六月十四日开始，预计两天完成。', [1], 'supported'),
    sentence('运输费用为四万二千元。', [2], 'supported'),
  ],
};

const tomatoes: Script = {
  text: 'The variety “Ruthje” gave the most fruit [1].',
  abstained: false,
  passages: [passage(1, garden, 'Ruthje', 0.88)],
  citations: [cite(1, garden, 'The variety “Ruthje” gave the most fruit')],
  sentences: [sentence('The variety “Ruthje” gave the most fruit.', [1], 'supported')],
};

const book: Script = {
  text: 'The keeper wrote one sentence in the middle of the book [1].',
  abstained: false,
  passages: [passage(1, long, 'lighthouse keeper', 0.9)],
  citations: [cite(1, long, 'The lighthouse keeper wrote this sentence')],
  sentences: [
    sentence('The keeper wrote one sentence in the middle of the book.', [1], 'supported'),
  ],
};

/** The sentences of an answer from documents of every kind of place, and the words they rest on. */
const launched: readonly [string, Source, string][] = [
  ['The lamp went on sale on 2 November.', slides, 'The lamp goes on sale on 2 November'],
  ['Turin sold 287 lamps in the first week.', sheets, 'Turin | 287'],
  ['The Turin shop sold out on Saturday.', mailbox, 'The Turin shop sold out on Saturday'],
  ['There is a discount of 15 percent until 30 November.', settings, 'until: 2026-11-30'],
  ['A full battery lasts forty nights.', subtitles, 'a full battery reads for forty nights'],
  ['Readers prefer a warm lamp.', light, 'preferred a warm lamp of 2,700 kelvin'],
  ['The forecast is 2,140 lamps.', notebook, 'The first quarter comes to 2,140 lamps.'],
  ['A review calls it the best below sixty euros.', archive, 'the best lamp below sixty euros'],
];

const launch: Script = {
  text: launched.map(([said], index) => `${said.slice(0, -1)} [${index + 1}].`).join(' '),
  abstained: false,
  passages: launched.map(([, document, words], index) => passage(index + 1, document, words, 0.8)),
  citations: launched.map(([, document, words], index) => cite(index + 1, document, words)),
  sentences: launched.map(([said], index) => sentence(said, [index + 1], 'supported')),
};

const abstention: Script = {
  text: 'The documents say nothing about this.',
  abstained: true,
  passages: [
    passage(1, lease, 'monthly rent is', 0.21),
    passage(2, garden, 'Carrots failed', 0.17),
  ],
  citations: [],
  sentences: [sentence('The documents say nothing about this.', [], 'none', 0)],
};

const ships: Script = {
  text: 'The ship of entry 700 came in with the tide [1].',
  abstained: false,
  passages: [passage(1, register, 'Entry 700:', 0.9)],
  citations: [cite(1, register, 'Entry 700: the ship number 5543300 came in with the tide.')],
  sentences: [],
};

const sold: Script = {
  text:
    'The shops sold this in the *first* week:\n\n' +
    '| City | Sold |\n|---|---|\n| Lisbon | 412 [1] |\n| Turin | 287 [2] |\n',
  abstained: false,
  passages: [passage(1, sheets, 'Lisbon | 412', 0.9), passage(2, sheets, 'Turin | 287', 0.9)],
  citations: [cite(1, sheets, 'Lisbon | 412'), cite(2, sheets, 'Turin | 287')],
  sentences: [],
};

const warmth: Script = {
  text:
    'The lamp loses $\\Delta T = 3$ K an hour [1], for 20 $ or 30 $ of power, by \\(P = \\frac{Q}{t}\\).\n\n' +
    '$$\nQ = m c \\, \\Delta T\n$$\n',
  abstained: false,
  passages: [passage(1, sheets, 'Lisbon | 412', 0.9)],
  citations: [cite(1, sheets, 'Lisbon | 412')],
  sentences: [],
};

const order: Script = {
  text: 'An order of more than ten lamps has free delivery [1], which the receipt shows [2].',
  abstained: false,
  passages: [
    passage(1, program, 'if lamps > FREE_FROM', 0.9),
    passage(2, receipt, 'Delivery 0.00', 0.8),
  ],
  citations: [cite(1, program, 'if lamps > FREE_FROM'), cite(2, receipt, 'Delivery 0.00')],
  sentences: [],
};

const written: Script = {
  text: 'המגדלור נבנה בשנת 1887 [1]. **Amina Sørensen** היא השומרת [2].',
  abstained: false,
  passages: [passage(1, hebrew, 'נבנה בשנת 1887', 0.9)],
  citations: [cite(1, hebrew, 'המגדלור נבנה בשנת 1887'), cite(2, hebrew, 'Amina Sørensen')],
  sentences: [],
};

/** Which script a question plays. */
export function scriptFor(question: string, always: string | null): Script {
  if (always === 'abstain' || /president|nothing/i.test(question)) return abstention;
  if (/\p{Script=Han}/u.test(question)) return relocation;
  if (/\p{Script=Hebrew}/u.test(question)) return written;
  if (/tomato/i.test(question)) return tomatoes;
  if (/ship/i.test(question)) return ships;
  if (/warm/i.test(question)) return warmth;
  if (/deliver/i.test(question)) return order;
  if (/table/i.test(question)) return sold;
  if (/book|keeper/i.test(question)) return book;
  if (/launch|lamp/i.test(question)) return launch;
  return notice;
}

function unsupported({ sentences }: Script): AnswerSentence[] {
  return sentences.filter(({ support }) => support === 'unsupported');
}

/** A text without a sentence and its markers. */
function without(text: string, sentence: string): string {
  const at = text.indexOf(sentence.slice(0, -1));
  return at < 0 ? text : text.slice(0, at) + text.slice(text.indexOf('].', at) + 2);
}

let nextId = 1;

/** The answer as it stands after `text` of the script was written. */
export function answerFrom(
  script: Script,
  request: AskRequest,
  text: string,
  cancelled: boolean,
): Answer {
  const cited = new Set([...text.matchAll(/\[(\d+)\]/g)].map(([, n]) => Number(n)));
  return {
    id: nextId++,
    rating: null,
    question: request.question,
    standalone_question: request.standalone_question ?? request.question,
    answer: request.only_supported
      ? unsupported(script).reduce((rest, { text }) => without(rest, text), text)
      : text,
    abstained: script.abstained,
    evidence: null,
    cancelled,
    sentences: cancelled
      ? []
      : script.sentences.filter(
          (said) => !request.only_supported || said.support !== 'unsupported',
        ),
    citations: script.citations.filter(({ n }) => cited.has(n)),
    passages: script.passages,
    filter: request.filter,
    manner: request.manner,
    model: 'qwen3-4b-q4_k_m',
    tokens: { prompt: 640, completion: 71 },
    milliseconds: { retrieval: 14, first_token: 900, total: 4_100 },
    conversation: request.conversation,
    pending: 0,
    dropped: request.only_supported ? unsupported(script).map(({ text }) => text) : [],
    coverage: request.thorough ? { documents: 5, read: cancelled ? 2 : 5, unreadable: 1 } : null,
    wants_everything: !request.thorough && /^(list|how many)/i.test(request.question),
  };
}

/** So many answers of one conversation, of all forms in turn. */
export function longConversation(count: number): Answer[] {
  const questions = [
    'How do I end my lease?',
    'Which tomatoes?',
    '费用是多少？',
    'Who is president?',
  ];
  return Array.from({ length: count }, (_, index) => {
    const question = questions[index % questions.length] ?? '';
    const request = newRequest(question, { conversation: 1 });
    const script = scriptFor(question, null);
    return answerFrom(script, request, script.text, false);
  });
}
