// Mathematics, by KaTeX. Loaded when the first formula is shown.
import katex from 'katex';
import 'katex/dist/katex.min.css';

/**
 * Draws a formula into an element, as nodes that KaTeX makes itself. What a model writes can neither
 * load nor link to anything, nor grow without end; what is no formula stays as it was written.
 */
export function draw(formula: string, element: HTMLElement, display: boolean): void {
  katex.render(formula, element, {
    displayMode: display,
    throwOnError: false,
    errorColor: 'inherit',
    strict: false,
    trust: false,
    maxSize: 20,
    maxExpand: 200,
  });
}
