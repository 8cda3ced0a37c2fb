import { describe, expect, it } from 'vitest';
import { toRuns, parseAnswer, type AnswerBlock, type Span } from '../../src/lib/text/answer';
import type { AnswerSentence, SupportLevel } from '../../src/lib/types';

/** Spans in a short form: `**bold**`, `` `code` ``, `<n>` for a marker, `{n:…}` for a marked sentence, `{…}` for a
 * formula. */
function brief(spans: Span[]): string {
  return spans
    .map(({ text, bold, italic, code, citation, formula, sentence }) => {
      if (citation !== null) return `<${citation}>`;
      if (formula) return `{${text}}`;
      const styled = code ? `\`${text}\`` : bold ? `**${text}**` : italic ? `_${text}_` : text;
      return sentence === null ? styled : `{${sentence}:${styled}}`;
    })
    .join('');
}

function outline(blocks: AnswerBlock[]): string[] {
  return blocks.map((block) => {
    if (block.type === 'formula') return `formula ${JSON.stringify(block.text)}`;
    if (block.type === 'code') return `code ${JSON.stringify(block.text)}`;
    if (block.type === 'table') {
      return [
        'table',
        ...[block.header, ...block.rows].map((row) => row.map(brief).join(' ; ')),
      ].join(' / ');
    }
    if (block.type === 'paragraph') return `p ${brief(block.spans)}`;
    return `${block.ordered ? `ol from ${block.start}` : 'ul'} ${block.items.map(brief).join(' / ')}`;
  });
}

function sentence(text: string, support: SupportLevel): AnswerSentence {
  return { text, citations: [], support, score: 0 };
}

describe('the text of an answer', () => {
  it.each<[string, string, string[]]>([
    ['paragraphs', 'One\ntwo.\n\nThree.', ['p One two.', 'p Three.']],
    ['markers', 'So it is [1][12].', ['p So it is <1><12>.']],
    ['markers with several numbers', 'So [1, 3].', ['p So <1><3>.']],
    ['bold and code', 'A **bold [2]** and `code **x**`.', ['p A **bold **<2> and `code **x**`.']],
    ['bold that is still being written', 'A **bol', ['p A **bol**']],
    ['bullets', 'Do:\n- one [1]\n* two', ['p Do:', 'ul one <1> / two']],
    ['numbers', '3. three\n4) four', ['ol from 3 three / four']],
    ['lists with space between the items', '- one\n\n- two', ['ul one / two']],
    ['fenced code', '```js\nlet a = [1];\n```\nend', ['code "let a = [1];"', 'p end']],
    ['fenced code that is still being written', '```\nlet', ['code "let"']],
    ['headings, as bold paragraphs', '## Title\ntext', ['p **Title**', 'p text']],
    ['Chinese', '搬迁定于**六月**开始 [1]。', ['p 搬迁定于**六月**开始 <1>。']],
    ['arithmetic, as it is', '2 * 3 ** 4 = [x]', ['p 2 * 3 ** 4 = [x]']],
    ['italic', 'An *italic [1] word* here.', ['p An _italic _<1>_ word_ here.']],
    [
      'tables',
      'See:\n| City | Sold |\n|---|--:|\n| Turin [1] | **287** |\n| Lisbon |\n\nend',
      ['p See:', 'table / City ; Sold / Turin <1> ; **287** / Lisbon', 'p end'],
    ],
    ['bars that are no table', 'a | b\nc | d', ['p a | b c | d']],
    ['formulas', 'So $E = mc^2$ and \\(x\\) [1].', ['p So {E = mc^2} and {x} <1>.']],
    ['a variable', 'Let $n$ be 3.', ['p Let {n} be 3.']],
    ['prices, as they are', 'From $5 to $10, a=$3.', ['p From $5 to $10, a=$3.']],
    [
      'displayed formulas',
      'So\n$$\na^2\n$$\nand \n\\[ b \\]',
      ['p So', 'formula "a^2"', 'p and ', 'formula "b"'],
    ],
    ['a formula that is still being written', '$$\na^', ['formula "a^"']],
    ['nothing', '', []],
  ])('has %s', (_, text, expected) => {
    expect(outline(parseAnswer(text))).toEqual(expected);
  });

  it.each([
    '<img src=x onerror=alert(1)>',
    '[link](javascript:alert(1))',
    '![image](http://x/y.png)',
  ])('leaves %s as text', (text) => {
    expect(outline(parseAnswer(text))).toEqual([`p ${text}`]);
  });
});

describe('sentences without full support', () => {
  it('are marked, without their markers', () => {
    const text = 'Rent is due [1]. The **deposit** comes `back` [2]. Cats fly [3]!';
    const sentences = [
      sentence('Rent is due.', 'supported'),
      sentence('The deposit comes back.', 'partial'),
      sentence('Cats fly!', 'unsupported'),
    ];
    expect(outline(parseAnswer(text, sentences))).toEqual([
      'p Rent is due <1>. {1:The }{1:**deposit**}{1: comes }{1:`back`} <2>. {2:Cats fly} <3>!',
    ]);
  });

  it('are told apart when they have the same words', () => {
    const text = 'Yes.\n- Yes.';
    const sentences = [sentence('Yes.', 'supported'), sentence('Yes.', 'unsupported')];
    expect(outline(parseAnswer(text, sentences))).toEqual(['p Yes.', 'ul {1:Yes.}']);
  });

  it('are found in Chinese and after emoji', () => {
    const sentences = [sentence('🍅好。', 'none'), sentence('费用为四万二千元。', 'partial')];
    expect(outline(parseAnswer('🍅好。费用为四万二千元。', sentences))).toEqual([
      'p 🍅好。{1:费用为四万二千元。}',
    ]);
  });

  it('that are not in the text are passed over', () => {
    const sentences = [sentence('Something else.', 'partial'), sentence('Yes.', 'partial')];
    expect(outline(parseAnswer('Yes.', sentences))).toEqual(['p {1:Yes.}']);
  });

  it('are drawn in one piece', () => {
    const [block] = parseAnswer('A **b** c.', [sentence('A b c.', 'partial')]);
    const spans = block?.type === 'paragraph' ? block.spans : [];
    expect(toRuns(spans).map((run) => [run.kind, run.spans.length])).toEqual([['sentence', 3]]);
  });
});

it('keeps markers together with the punctuation after them', () => {
  const [block] = parseAnswer('So it is [1][2]. 完成[3]。');
  const spans = block?.type === 'paragraph' ? block.spans : [];
  const runs = toRuns(spans).map(({ kind, spans }) => [
    kind,
    spans.map(({ text }) => text).join(''),
  ]);
  expect(runs).toEqual([
    ['text', 'So it is\u202f'],
    ['markers', '[1][2].'],
    ['text', ' 完成\u202f'],
    ['markers', '[3]。'],
  ]);
});
