import { describe, expect, it } from 'vitest';
import { answerFrom, scriptFor } from '../../src/lib/backend/mock/answers';
import { answerMarkdown, conversationMarkdown, fileName } from '../../src/lib/text/markdown';
import { newRequest } from '../../src/lib/stores/conversation.svelte';

function answer(question: string): ReturnType<typeof answerFrom> {
  const script = scriptFor(question, null);
  return answerFrom(script, newRequest(question), script.text, false);
}

describe('an answer as Markdown', () => {
  it('has its sources below', () => {
    expect(answerMarkdown(answer('Which tomatoes?'))).toBe(
      'The variety “Ruthje” gave the most fruit [1].\n\n**Sources**\n\n' +
        '1. Garden.md: “The variety “Ruthje” gave the most fruit”\n',
    );
  });

  it('takes the characters of a document for what they are', () => {
    const odd = answer('Which tomatoes?');
    odd.citations = odd.citations.map((cited) => ({ ...cited, quote: 'a *b*\n# <c> [d](e)' }));
    expect(answerMarkdown(odd)).toContain('“a \\*b\\* \\# \\<c\\> \\[d\\](e)”');
  });

  it('follows its question in a conversation', () => {
    const text = conversationMarkdown([answer('Which\n tomatoes?'), answer('Who is president?')]);
    expect(text.match(/^## .*/gm)).toEqual(['## Which tomatoes?', '## Who is president?']);
    expect(text.endsWith('The documents say nothing about this.\n')).toBe(true);
  });

  it.each([
    ['How do I end my lease?', 'How do I end my lease.md'],
    ['a/b\\c: "d" <e>|*', 'abc d e.md'],
    ['  ', 'Lectern.md'],
    ['搬'.repeat(80), `${'搬'.repeat(60)}.md`],
  ])('is kept under a name that every system takes: %j', (question, expected) => {
    expect(fileName(question, 'md')).toBe(expected);
  });
});
