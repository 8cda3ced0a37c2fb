import { describe, expect, it } from 'vitest';
import { fitting, mentionAt } from '../../src/lib/text/mention';

describe('a document that is being named', () => {
  it.each([
    ['@', { from: 0, to: 1, query: '' }],
    ['what does @lea', { from: 10, to: 14, query: 'lea' }],
    ['（@会议', { from: 1, to: 4, query: '会议' }],
    ['ada@example.org', null],
    ['@lease and', null],
    ['no mention', null],
  ])('is seen in %j', (text, expected) => {
    expect(mentionAt(text, text.length)).toEqual(expected);
  });

  it('ends at the caret', () => {
    expect(mentionAt('@lea se', 3)).toEqual({ from: 0, to: 3, query: 'le' });
  });

  it('is found by its name, the best first', () => {
    const paths = ['/a/Old lease.pdf', '/lease/other.md', '/a/Lease agreement.pdf', '/b/Lease.md'];
    expect(fitting(paths, 'lease', 3)).toEqual([
      '/b/Lease.md',
      '/a/Lease agreement.pdf',
      '/a/Old lease.pdf',
    ]);
    expect(fitting(paths, '', 2)).toHaveLength(2);
  });
});
