import { t } from '../messages/index.svelte';
import type { Answer } from '../types';
import { baseName } from './path';
import { joined, placeText } from './place';

/** An answer as Markdown, with its sources below. */
export function answerMarkdown(answer: Answer): string {
  const sources = answer.citations.map((citation) => {
    const place = placeText(citation);
    const name = baseName(citation.document);
    const quote = citation.quote.replace(/\s+/g, ' ').trim();
    const where = place === '' ? name : joined(name, place);
    return `${citation.n}. ${escapeMarkdown(where)}: “${escapeMarkdown(quote)}”`;
  });
  const text = answer.answer.trim();
  if (sources.length === 0) return `${text}\n`;
  return `${text}\n\n**${t('markdown.sources')}**\n\n${sources.join('\n')}\n`;
}

/** A conversation as Markdown: each question a heading, with its answer and sources. */
export function conversationMarkdown(answers: readonly Answer[]): string {
  return answers
    .map((answer) => `## ${oneLine(answer.question)}\n\n${answerMarkdown(answer)}`)
    .join('\n');
}

/** A conversation as JSON: the answers as the command line prints them, with all of their sources. */
export function conversationJson(answers: readonly Answer[]): string {
  return `${JSON.stringify({ title: answers[0]?.question ?? '', answers }, null, 2)}\n`;
}

/** A name for the file of a conversation, from its first question. */
export function fileName(question: string, extension: 'md' | 'json'): string {
  const words = oneLine(question).replace(/[\\/:*?"<>|\p{Cc}]/gu, '');
  return `${[...words].slice(0, 60).join('').trim() || 'Lectern'}.${extension}`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** What a document says stays what it is: its characters are no markup. */
function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_[\]<>#|~]/g, '\\$&');
}
