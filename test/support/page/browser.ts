/** Opens a file in headless Chromium, and records its requests and complaints. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';

/** These flags keep the browser from using the network. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface OpenPage {
  page: Page;
  url: string;
  /** The URLs that the page requested. The first is its own. */
  requests: string[];
  /** Messages of the console, errors of scripts, and violations of the content security policy. */
  complaints: string[];
}

export interface Opener extends AsyncDisposable {
  open(html: string, options?: BrowserContextOptions): Promise<OpenPage>;
}

export async function startBrowser(): Promise<Opener> {
  const directory = await mkdtemp(join(tmpdir(), 'snap-to-s3-page-'));
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  let files = 0;
  return {
    open: async (html, options) => {
      const file = join(directory, `${files++}.html`);
      await writeFile(file, html);
      return openFile(browser, pathToFileURL(file).href, options);
    },
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      await rm(directory, { recursive: true });
    },
  };
}

async function openFile(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  await page.goto(url);
  return { page, url, requests, complaints };
}
