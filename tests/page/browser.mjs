// Debian's Chromium, driven by playwright-core from build/page; pages written by build/bin/write_page.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const { chromium } = createRequire(path.join(root, 'build/page/'))('playwright-core');

export const work = fs.mkdtempSync(path.join(os.tmpdir(), 'gradus-page-'));

// Writes documents (objects, or paths of JSON files) and their page; returns the page's path.
export function writePage(name, documents, flags = []) {
  const files = documents.map((document, i) => {
    if (typeof document === 'string') return document;
    const file = path.join(work, `${name}-${i}.json`);
    fs.writeFileSync(file, JSON.stringify(document));
    return file;
  });
  const html = execFileSync(path.join(root, 'build/bin/write_page'), [...flags, ...files], { maxBuffer: 1 << 28 });
  const file = path.join(work, `${name}.html`);
  fs.writeFileSync(file, html);
  return file;
}

const opened = [];
let profiles = 0;

// A page in a browser with a profile of its own. `faults` gathers what the console and the network say.
export async function open(file, { width = 1280, height = 900, dark = false, locale = 'en-US' } = {}) {
  const context = await chromium.launchPersistentContext(path.join(work, `profile-${profiles++}`), {
    headless: true, executablePath: '/usr/bin/chromium', viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', locale, acceptDownloads: true, reducedMotion: 'reduce',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  opened.push(context);
  const page = await context.newPage();
  const faults = [];
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) faults.push(message.text()); });
  page.on('pageerror', (error) => faults.push(error.stack));
  page.on('request', (request) => { if (!/^(file|data|blob):/.test(request.url()) && !(file.startsWith('http') && request.url().startsWith(file))) faults.push(`asked the network for ${request.url()}`); });
  const from = Date.now();
  await page.goto(file.startsWith('http') ? file : `file://${file}`);
  await page.waitForSelector('.body svg.chart path.line, .absent');
  return { context, page, faults, firstView: Date.now() - from };
}

// Until `holds` in the page. (Playwright's own waitForFunction needs eval there, which the program's policy forbids.)
export async function until(page, holds, argument) {
  for (const from = Date.now(); !(await page.evaluate(holds, argument)); await page.waitForTimeout(40)) {
    if (Date.now() - from > 15000) throw new Error(`not within 15 s: ${holds}`);
  }
}

export async function scrollTo(page, id) {
  await page.evaluate((at) => document.getElementById(at).scrollIntoView({ behavior: 'instant', block: 'start' }), id);
  await until(page, (at) => document.querySelector(`#${at} .body`).childElementCount > 0, id);
  await page.waitForTimeout(80);
}

// What a button of the view saves, as bytes.
export async function saved(page, id, kind) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(`#${id} [data-save=${kind}]`)]);
  return { name: download.suggestedFilename(), bytes: fs.readFileSync(await download.path()) };
}

export async function end() {
  for (const context of opened) await context.close();
  fs.rmSync(work, { recursive: true, force: true });
}

// Checks go on after a failure; the program's exit status tells.
let failures = 0, checks = 0;
export function check(what, holds, detail = '') {
  checks++;
  if (holds) return;
  failures++;
  console.log(`FAILED: ${what}${detail === '' ? '' : ` (${detail})`}`);
}
export function verdict() {
  console.log(failures ? `${failures} of ${checks} checks failed` : `${checks} checks passed`);
  return failures ? 1 : 0;
}
