import type { Attachment } from 'svelte/attachments';

/** So near to the end counts as being there, in pixels. */
const NEAR = 40;

/**
 * Keeps a scrolled element at its end while its content grows, until the person
 * scrolls up, and again once they are back at the end.
 */
export function keepAtEnd(onchange: (atEnd: boolean) => void): Attachment<HTMLElement> {
  return (element) => {
    let following = true;
    let lastTop = 0;
    const distance = (): number => element.scrollHeight - element.scrollTop - element.clientHeight;

    function onscroll(): void {
      // Growing content moves the end away without a scroll; only the person moves up.
      if (element.scrollTop < lastTop && distance() > NEAR) following = false;
      else if (distance() <= NEAR) following = true;
      lastTop = element.scrollTop;
      onchange(distance() <= NEAR);
    }

    const observer = new ResizeObserver(() => {
      if (following) element.scrollTop = element.scrollHeight;
      onchange(distance() <= NEAR);
    });
    // What the person unfolds stays where they look.
    function onclick(event: Event): void {
      if (event.target instanceof Element && event.target.closest('summary')) following = false;
    }

    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    element.addEventListener('scroll', onscroll, { passive: true });
    element.addEventListener('click', onclick);
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', onscroll);
      element.removeEventListener('click', onclick);
    };
  };
}
