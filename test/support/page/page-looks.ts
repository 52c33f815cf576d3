/** Measures how a page looks. Functions that run in the page are text, because they need the types of the DOM. */
import type { Page } from 'playwright-core';

/** @returns the fraction of a canvas's pixels that are painted. */
export const paintedShare = (page: Page, canvas: string): Promise<number> =>
  page.evaluate(`(() => {
    const canvas = document.querySelector(${JSON.stringify(canvas)});
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let painted = 0;
    for (let place = 3; place < data.length; place += 4) if (data[place] > 0) painted++;
    return painted / (data.length / 4);
  })()`);

/** @returns the content of a canvas as text, to detect changes. */
export const pictureOf = (page: Page, canvas: string): Promise<string> =>
  page.evaluate(`document.querySelector(${JSON.stringify(canvas)}).toDataURL()`);

/** @returns texts that extend beyond the screen outside of a scrolling element, or are cut off in their box. */
export const clippedTexts = (page: Page): Promise<string[]> =>
  page.evaluate(`(() => {
    const clipped = [];
    for (const element of document.querySelectorAll('h1, h2, h3, h4, p, dt, dd, li, label, summary, button, th, td, select, bdi, figcaption')) {
      if (element.closest('.unseen, .skip') || !element.checkVisibility()) continue;
      const { left, right } = element.getBoundingClientRect();
      const scrolls = element.closest('.scrolling') !== null;
      const isOut = !scrolls && (left < -0.5 || right > document.documentElement.clientWidth + 0.5);
      const isCut = !scrolls && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== 'inline';
      if (isOut || isCut) clipped.push(element.tagName + ': ' + element.textContent.slice(0, 60));
    }
    return clipped;
  })()`);

/** @returns texts whose contrast with the background is below 4.5:1 (WCAG AA). */
export const paleTexts = (page: Page): Promise<string[]> =>
  page.evaluate(`(() => {
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = ([red, green, blue]) => {
      const [r, g, b] = [red, green, blue].map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const backgroundOf = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const color = channels(getComputedStyle(at).backgroundColor);
        if (color.length === 3 || color[3] > 0.99) return color;
      }
      return [255, 255, 255];
    };
    const pale = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { parentElement: element, textContent } = walker.currentNode;
      if (textContent.trim() === '' || element.closest('script, noscript, option') || !element.checkVisibility()) continue;
      const [light, dark] = [channels(getComputedStyle(element).color), backgroundOf(element)].map(luminance).sort((a, b) => b - a);
      const contrast = (light + 0.05) / (dark + 0.05);
      if (contrast < 4.5) pale.add(contrast.toFixed(2) + ': ' + textContent.trim().slice(0, 40));
    }
    return [...pale];
  })()`);
