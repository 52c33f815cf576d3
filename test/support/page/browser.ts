/** Headless Chromium with one file, and a record of its requests and complaints. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';

/** The browser must not use the network. */
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
  /** What the page asked for, itself first. */
  requests: string[];
  /** Of the console, of scripts, and what the policy has refused. */
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
