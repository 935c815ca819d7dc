import { describe, expect, it } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import { rewriteLinks } from './html-links.ts';

const marked = (html: string) => rewriteLinks(html, (url) => `[${url}]`);

describe('rewriteLinks', () => {
  it.each([
    ['<a href="/x">', '<a href="[/x]">'],
    ["<A HREF='/x' class=y>", "<A HREF='[/x]' class=y>"],
    ['<img src=/x.png alt="a > b">', '<img src=[/x.png] alt="a > b">'],
    ['<a\n  id="i"\n  href = "/x" >', '<a\n  id="i"\n  href = "[/x]" >'],
    ['<script src="/a.js">if (a < b) "<a href=\'/x\'>"</script><a href="/y">', null],
    ['<!-- <a href="/x"> --><form action="/y"/>', '<!-- <a href="/x"> --><form action="[/y]"/>'],
    ['<p href="/x">1 < 2</p>', '<p href="/x">1 < 2</p>'],
    ['<a href="/x', '<a href="/x'],
    ['<constructor href="/x">', '<constructor href="/x">'],
  ])('of %j', (html, expected) => {
    const script = '<script src="[/a.js]">if (a < b) "<a href=\'/x\'>"</script><a href="[/y]">';
    expect(marked(html)).toBe(expected ?? script);
  });

  it('leaves every page as it is when the URLs stay', () => {
    const piece = fc.constantFrom('<', 'a', ' ', 'href', '=', '"', "'", '/', '>', '<!--', '-->');
    fc.assert(
      fc.property(
        fc.array(piece).map((all) => all.join('')),
        (html) => {
          expect(rewriteLinks(html, (url) => url)).toBe(html);
        },
      ),
    );
  });

  it('takes no longer than the page is long', () => {
    for (const html of [
      '<'.repeat(1e6),
      '<a '.repeat(1e6),
      '<a href="'.repeat(1e6),
      '<!--'.repeat(1e6),
    ]) {
      // In a time that grew faster than the page it would take longer than the test has.
      expect(marked(html)).toEqual(expect.any(String));
    }
  });
});
