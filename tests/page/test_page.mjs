// node test_page.mjs [RUN.json [RUN2.json]]: opens the page of gpt view from disk in Chromium and uses every view: marks
// counted against the document, slider, hover, keys, languages, saving, comparing, dark, a phone's width, texts that
// attack the page. Screenshots land in build/page/shots.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { check, end, open, root, saved, scrollTo, until, verdict, writePage } from './browser.mjs';
import { fixture, labFixture } from './fixture.mjs';

const shots = path.join(root, 'build/page/shots');
fs.rmSync(shots, { recursive: true, force: true });
fs.mkdirSync(shots, { recursive: true });

const views = ['loss', 'updates', 'flow', 'histograms', 'activations', 'samples', 'attention', 'sharpen', 'confidence', 'calibration', 'lens', 'embedding', 'step', 'graph'];
const whole = fixture(1, 'whole');
const marks = (page, id, selector) => page.evaluate(([at, what]) => document.querySelectorAll(`#${at} .body ${what}`).length, [id, selector]);
const tipText = (page) => page.evaluate(() => (document.getElementById('tip').hidden ? '' : document.getElementById('tip').innerText));

async function noSidewaysScroll(page, what) {
  const width = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  check(`${what}: no sideways scrolling`, width[0] <= width[1], width.join(' > '));
}

async function shootAll(page, name) {
  for (const id of views) {
    await scrollTo(page, id);
    await (await page.$(`#${id}`)).screenshot({ path: path.join(shots, `${name}-${id}.png`), style: '#player { display: none !important }' });
  }
}

// How many marks each view must have for the fixture's document.
function expectedMarks(doc) {
  const m = doc.matrices.length, layers = doc.previous.length, heads = doc.previous[0].length, T = doc.texts[0].ids.length;
  return {
    loss: [['path.line', 4], ['circle.dot', doc.loss.held_out.step.length], ['line.rule', 3]],
    updates: [['path.line', m], ['line.rule', 1], ['text.tag', m]],
    flow: [['svg.chart:not(.key) .names text', m + 1]],
    histograms: [['.multiples svg.chart', m], ['path.ridge', doc.histograms.step.length]],
    activations: [['svg.chart', 4]],
    samples: [['g.sample', doc.samples.length]],
    attention: [['.tile', layers * heads], ['.cell-text text', (T * (T + 1)) / 2], ['.token', T]],
    sharpen: [['path.line', layers * heads]],
    confidence: [['.token', T]],
    calibration: [['path.line', 2], ['rect.bar', doc.calibration.bins.length], ['path.band', 1]],
    lens: [['.cell-text text', T * (layers + 1)], ['path.line', 2]],
    embedding: [['circle.dot', doc.embedding.ids.length], ['path.trail', doc.embedding.ids.length]],
    step: [['.work > div', 8], ['.token', T]],
    graph: [['g.op', doc.graph.nodes.filter((n) => n.inputs.length).length]],
  };
}

async function testViews() {
  const { page, faults, firstView } = await open(writePage('whole', [whole]));
  console.log(`time to the first view, fixture: ${firstView} ms`);
  for (const [id, expected] of Object.entries(expectedMarks(whole))) {
    await scrollTo(page, id);
    for (const [selector, n] of expected) {
      const found = await marks(page, id, selector);
      check(`${id} has ${n} of ${selector}`, found === n, found);
    }
    check(`${id}: what can be focused has a name`, await page.evaluate((at) => [...document.querySelectorAll(`#${at} svg[tabindex], #${at} button, #${at} select`)].every((node) => (node.getAttribute('aria-label') || node.innerText || (node.labels && node.labels[0].innerText) || '').trim()), id));
  }
  check('a warning stands with its view', (await page.innerText('#activations .warning')).includes('43 % of units never fire'));
  check('what is left out is listed', (await page.innerText('.left-out')).includes('step 300'));
  const answers = await page.innerText('.answers');
  check('the answers name the head', /Block h\.0, head 2/.test(answers) && answers.includes('73'), answers);
  await noSidewaysScroll(page, 'desktop');
  await shootAll(page, 'light');
  check('no fault', faults.length === 0, faults.join('\n'));
}

async function testSlider() {
  const { page, faults } = await open(writePage('slider', [whole]));
  await scrollTo(page, 'confidence');
  const last = whole.texts[0].at[whole.snapshots.length - 1], first = whole.texts[0].at[0];
  const shown = () => page.evaluate(() => [...document.querySelectorAll('#confidence .token text.note')].map((t) => t.textContent.replace(/[^0-9.]/g, '')));
  const rounded = (at) => at.prob.map((p) => (p === null ? '' : p < 0.0995 ? (100 * p).toFixed(1) : (100 * p).toFixed(0)));
  check('probabilities of the last snapshot', JSON.stringify(await shown()) === JSON.stringify(rounded(last)), JSON.stringify([await shown(), rounded(last)]));
  await page.focus('#step input, input#step');
  await page.keyboard.press('Home');
  await page.waitForTimeout(150);
  check('Home goes to step 0', (await page.innerText('#player output')).includes('step 0'));
  check('probabilities of the first snapshot', JSON.stringify(await shown()) === JSON.stringify(rounded(first)), JSON.stringify(await shown()));
  await scrollTo(page, 'loss');
  const lineAt = () => page.evaluate(() => document.querySelector('#loss .step-line').getAttribute('x1'));
  const before = await lineAt();
  await page.focus('input#step');
  for (let i = 0; i < 30; i++) await page.keyboard.press('ArrowRight');
  await page.waitForTimeout(150);
  check('the line of the step moves', (await lineAt()) !== before);
  await page.click('#play');
  await page.waitForTimeout(900);
  check('playing moves on', !(await page.innerText('#player output')).includes('step 30'));
  check('no fault', faults.length === 0, faults.join('\n'));
}

async function testHover() {
  const { page, faults } = await open(writePage('hover', [whole]));
  for (const id of views) {
    await scrollTo(page, id);
    let seen = false;
    for (const svg of await page.$$(`#${id} .body svg.chart:not(.key)`)) {
      const box = await svg.boundingBox();
      if (!box) continue;
      const own = await svg.$('circle.dot, rect.bar, .token');
      const mark = own && (await own.boundingBox());
      const spots = mark ? [[(mark.x + mark.width / 2 - box.x) / box.width, (mark.y + mark.height / 2 - box.y) / box.height]] : [];
      for (const [fx, fy] of [...spots, [0.5, 0.5], [0.3, 0.7], [0.12, 0.85], [0.16, 0.24], [0.05, 0.3]]) {
        const x = box.x + box.width * fx, y = box.y + box.height * fy;
        if (y > 820 || y < 0) continue;
        await page.mouse.move(x, y);
        if (/\d/.test(await tipText(page))) { seen = true; break; }
      }
      if (seen) break;
    }
    check(`${id}: hover shows numbers`, seen);
    const svg = await page.$(`#${id} .body svg.chart[tabindex]`);
    if (!svg) continue;
    await page.mouse.move(2, 2);
    for (const chart of await page.$$(`#${id} .body svg.chart[tabindex]`)) {
      if (!(await chart.evaluate((node) => node.isConnected))) continue;
      await chart.focus();
      for (const key of ['ArrowRight', 'ArrowDown']) await page.keyboard.press(key);
      if (/\d/.test(await tipText(page))) break;
    }
    check(`${id}: arrow keys show numbers`, /\d/.test(await tipText(page)));
    await page.evaluate(() => document.activeElement.blur());
  }
  await scrollTo(page, 'confidence');
  await (await page.$$('#confidence .token'))[3].hover();
  const [id, p] = whole.texts[0].at[whole.snapshots.length - 1].top[2][0];
  check('hover tells what was likelier after the token before', (await tipText(page)).replace(/\s+/g, ' ').includes(`${whole.vocab[id].replace('\n', '↵')} ${(100 * p).toFixed(1)} %`), `${await tipText(page)} / ${whole.vocab[id]} ${p}`);
  // A number against the document: what head 2 of block 0 gives to the token before, for the fourth token.
  await scrollTo(page, 'attention');
  const bytes = Buffer.from(whole.texts[0].at[whole.snapshots.length - 1].attention.f16, 'base64');
  const T = whole.texts[0].ids.length, bits = bytes.readUInt16LE(2 * ((0 * 4 + 2) * T * T + 3 * T + 2));
  const weight = 2 ** ((bits >> 10) - 15) * (1 + (bits & 1023) / 1024);
  const cell = await page.evaluateHandle(([n]) => document.querySelectorAll('#attention .cell-text text')[n], [3 * 4 / 2 + 2]);
  const box = await cell.asElement().boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  check('hover tells the weight of the document', (await tipText(page)).includes((100 * weight).toFixed(1)), `${await tipText(page)} / ${weight}`);
  check('no fault', faults.length === 0, faults.join('\n'));
}

async function testChoices() {
  const { page, faults } = await open(writePage('choices', [whole]));
  await scrollTo(page, 'attention');
  await page.click('[data-head="1.3"]');
  await page.waitForTimeout(100);
  check('a tile chosen is shown large', (await page.innerText('#attention')).includes('block 1, head 3 –'));
  await page.focus('[data-head="1.3"]');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await page.waitForTimeout(100);
  check('tiles are reached by keys', (await page.innerText('#attention')).includes('block 0, head 3 –'));
  await scrollTo(page, 'step');
  const before = await page.innerText('#step .work');
  await page.selectOption('#step select', 'h.1.mlp.c_fc.weight');
  await page.waitForTimeout(100);
  const after = await page.innerText('#step .work');
  check('another matrix has another step', before !== after && (await page.innerText('#step')).includes('h.1.mlp.c_fc ['));
  await scrollTo(page, 'histograms');
  await page.click('#histograms [data-part=gradients]');
  await page.waitForTimeout(100);
  check('histograms of gradients', (await marks(page, 'histograms', 'path.ridge')) === whole.histograms.step.length - 1);
  await scrollTo(page, 'loss');
  const path0 = await page.getAttribute('#loss path.line', 'd');
  await page.click('#loss [data-toggle=logX]');
  await page.waitForTimeout(100);
  const linear = await page.getAttribute('#loss path.line', 'd');
  check('linear steps', linear !== path0);
  const box = await (await page.$('#loss svg.chart')).boundingBox();
  await page.mouse.move(box.x + 200, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + 500, box.y + 120, { steps: 4 });
  await page.mouse.up();
  check('dragging enlarges', (await page.getAttribute('#loss path.line', 'd')) !== linear);
  await page.mouse.dblclick(box.x + 300, box.y + 100);
  check('a double click shows all', (await page.getAttribute('#loss path.line', 'd')) === linear);
  check('no fault', faults.length === 0, faults.join('\n'));
}

async function testSaving() {
  const { page, faults } = await open(writePage('saving', [whole]));
  for (const id of views) {
    await scrollTo(page, id);
    const svg = await saved(page, id, 'SVG');
    const text = svg.bytes.toString('utf8');
    const parsed = await page.evaluate((t) => { const d = new DOMParser().parseFromString(t, 'image/svg+xml'); return [d.querySelector('parsererror') ? 'error' : d.documentElement.tagName, d.querySelectorAll('path, rect, circle, image').length]; }, text);
    check(`${id}: SVG is well formed and has marks`, parsed[0] === 'svg' && parsed[1] > 3 && svg.name.endsWith(`${id}.svg`), `${parsed} ${svg.name}`);
    check(`${id}: SVG stands alone`, !/var\(--|href="(?!data:)/.test(text.replace(/url\(#/g, '')));
    const png = await saved(page, id, 'PNG');
    check(`${id}: PNG`, png.bytes.subarray(1, 4).toString() === 'PNG' && png.bytes.length > 3000 && png.bytes.readUInt32BE(16) > 400, png.bytes.length);
    const csv = (await saved(page, id, 'CSV')).bytes.toString('utf8');
    const lines = csv.replace(/^\ufeff/, '').trim().split('\r\n');
    check(`${id}: CSV has a heading and rows of its width`, lines.length > 3 && (id === 'samples' || id === 'confidence' || lines.slice(1).every((l) => l.includes('"') || l.split(',').length === lines[0].split(',').length)), lines.slice(0, 2).join(' | '));
    if (id === 'updates') {
      const row = lines[5].split(',').map(Number), expected = whole.matrices.map((_, m) => whole.per_matrix.update_ratio[m][4]);
      check('updates: CSV has the numbers of the document', row[0] === whole.per_matrix.step[4] && expected.every((v, m) => v === row[m + 1]), lines[5]);
    }
  }
  check('no fault', faults.length === 0, faults.join('\n'));
}

async function testLanguages() {
  const { page, faults } = await open(writePage('korean', [whole]), { locale: 'ko-KR' });
  check('the browser\'s language first', (await page.innerText('#loss h2')) === '손실' && (await page.getAttribute('html', 'lang')) === 'ko');
  for (const id of views) await scrollTo(page, id);
  check('warnings in Korean', (await page.innerText('#activations .warning')).includes('유닛의 43 %'));
  await page.click('#language');
  check('the switch', (await page.innerText('#loss h2')) === 'Loss');
  await page.reload();
  check('the choice is kept', (await page.innerText('#loss h2')) === 'Loss');
  await page.click('#language');
  await shootAll(page, 'korean');
  check('no fault', faults.length === 0, faults.join('\n'));
}

async function testComparing() {
  const second = fixture(2, 'second');
  const { page, faults } = await open(writePage('both', [whole, second]), { dark: true });
  await page.screenshot({ path: path.join(shots, 'both-top.png') });
  for (const id of views) {
    await scrollTo(page, id);
    const text = await page.innerText(`#${id}`);
    check(`${id} names both runs`, text.includes('names') && text.includes('second'));
  }
  check('losses over one another', (await marks(page, 'loss', 'path.line')) === 8);
  check('graphs side by side', (await marks(page, 'graph', '.side')) === 2);
  const [csv] = [(await saved(page, 'calibration', 'CSV')).bytes.toString('utf8')];
  check('CSV of both runs', csv.includes('run,confidence') && csv.includes('\r\nnames,') && csv.includes('\r\nsecond,'), csv.slice(0, 80));
  check('dark', (await page.evaluate(() => getComputedStyle(document.body).backgroundColor)) === 'rgb(20, 23, 27)');
  await shootAll(page, 'both');
  await page.evaluate(() => scrollTo(0, 0));
  await page.click('#theme');
  check('light by the switch', (await page.evaluate(() => getComputedStyle(document.body).backgroundColor)) === 'rgb(247, 245, 240)');
  check('no fault', faults.length === 0, faults.join('\n'));
  const old = await open(writePage('old', [whole, fixture(3, 'sparse')]));
  for (const id of views) await scrollTo(old.page, id);
  check('a run without records says so', (await old.page.innerText('#flow')).includes('sparse: Gradient norms are missing'));
  check('no fault', old.faults.length === 0, old.faults.join('\n'));
}

async function testMissing() {
  const { page, faults } = await open(writePage('sparse', [fixture(1, 'sparse')]));
  for (const id of views.slice(1)) {
    await scrollTo(page, id);
    check(`${id} says what is missing and how to get it`, /gpt train|Train|train/.test(await page.innerText(`#${id} .absent`)));
  }
  check('the loss is drawn', (await marks(page, 'loss', 'path.line')) >= 3);
  const empty = await open(writePage('empty', [{ version: 1, run: { name: 'empty' } }]));
  for (const id of views) await scrollTo(empty.page, id);
  check('no fault', faults.concat(empty.faults).length === 0, faults.concat(empty.faults).join('\n'));
}

// Every part of the document left out, null, empty or of another kind, one at a time: the others are drawn all the same.
async function testDamaged() {
  const { page, faults } = await open(writePage('damaged', [whole]));
  const broken = await page.evaluate(() => {
    const whole = JSON.stringify(state.runs[0]), failures = [];
    const spoiled = (change) => { const doc = JSON.parse(whole); change(doc); return doc; };
    for (const part of Object.keys(state.runs[0])) {
      for (const [name, change] of [['absent', (doc) => { delete doc[part]; }], ['null', (doc) => { doc[part] = null; }], ['empty', (doc) => { doc[part] = Array.isArray(doc[part]) ? [] : {}; }], ['other', (doc) => { doc[part] = 7; }]]) {
        try {
          state.runs = [normalized(spoiled(change))];
          build();
          const fine = [...drawn].filter(([id, entry]) => { drawView(id, entry); return entry.body.querySelector('svg'); }).length;
          if (fine < drawn.size - (['texts', 'matrices'].includes(part) ? 4 : 2)) failures.push(`${part} ${name}: ${fine} views`);
        } catch (error) {
          failures.push(`${part} ${name}: ${error.stack.split('\n').slice(0, 3).join(' ')}`);
        }
      }
    }
    return failures;
  });
  check('a damaged part costs its own view at most', broken.length === 0, broken.slice(0, 20).join('\n'));
  check('what failed is told', faults.every((fault) => /Error|attribute/.test(fault)), faults.slice(0, 3).join('\n'));
}

async function testHostile() {
  const { page, faults } = await open(writePage('hostile', [fixture(1, 'hostile')]));
  for (const id of views) {
    await scrollTo(page, id);
    const svg = (await saved(page, id, 'SVG')).bytes.toString('utf8');
    check(`${id}: SVG of hostile texts is well formed`, await page.evaluate((t) => !new DOMParser().parseFromString(t, 'image/svg+xml').querySelector('parsererror'), svg));
  }
  await page.click('#samples details summary');
  check('nothing of the data ran', (await page.evaluate(() => window.broken)) === undefined);
  check('tags are shown as text', (await page.innerText('h1')).includes('<b>run</b>') && (await page.innerText('#activations .warning')).includes('<script>'));
  check('marks of direction are shown', (await page.innerText('#confidence')).includes('<202E>'));
  const csv = (await saved(page, 'confidence', 'CSV')).bytes.toString('utf8');
  check('a sheet runs no cell', csv.includes("'=1+1"));
  await shootAll(page, 'hostile');
  check('no fault', faults.length === 0, faults.join('\n'));
}

async function testPhone() {
  for (const [name, dark] of [['phone', false], ['phone-dark', true]]) {
    const { page, faults } = await open(writePage(name, [whole]), { width: 390, height: 800, dark, locale: dark ? 'ko-KR' : 'en-US' });
    await page.screenshot({ path: path.join(shots, `${name}-top.png`) });
    for (const id of views) { await scrollTo(page, id); await noSidewaysScroll(page, `${name} ${id}`); }
    await shootAll(page, name);
    check('no fault', faults.length === 0, faults.join('\n'));
  }
  const { page } = await open(writePage('phone-both', [whole, fixture(2, 'second')]), { width: 390, height: 800 });
  for (const id of views) await scrollTo(page, id);
  await noSidewaysScroll(page, 'phone, comparing');
}

async function testLab() {
  const { page, faults } = await open(writePage('lab', [labFixture(1)], ['--lab']));
  check('title, sentence, table', (await page.innerText('h1')) === 'How many heads?' && (await page.innerText('.conclusion')).includes('8 heads') && (await page.innerText('#table-1')).includes('Held-out loss <b>'));
  check('two lines with their intervals', (await marks(page, 'chart-1', 'path.line')) === 2 && (await marks(page, 'chart-1', 'path.band')) === 2);
  check('chart saved', (await saved(page, 'chart-1', 'SVG')).bytes.includes('path') && (await saved(page, 'chart-1', 'PNG')).bytes.length > 3000);
  check('table saved', (await saved(page, 'table-1', 'CSV')).bytes.toString('utf8').includes('heads,loss\r\n1,3\r\n'));
  await page.click('#language');
  check('Korean', (await page.innerText('h1')) === '헤드는 몇 개?');
  await page.screenshot({ path: path.join(shots, 'lab.png'), fullPage: true });
  check('no fault', faults.length === 0, faults.join('\n'));
  const phone = await open(writePage('lab-phone', [labFixture(1)], ['--lab']), { width: 390 });
  await noSidewaysScroll(phone.page, 'lab on a phone');
}

// A program that serves, played by node: what is typed is asked for and shown; a running training streams in.
async function testLive() {
  const doc = fixture(1, 'whole');
  Object.assign(doc.run, { serve: true, running: true, steps: 1500 });
  const html = fs.readFileSync(writePage('live', [doc]));
  const typed = doc.texts[1];
  // As the program sends it.
  const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; connect-src 'self'; frame-ancestors 'none'";
  let asked = '', polls = 0;
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (part) => { body += part; });
    request.on('end', () => {
      response.setHeader('Content-Security-Policy', policy);
      if (request.url === '/') return response.setHeader('Content-Type', 'text/html; charset=utf-8').end(html);
      response.setHeader('Content-Type', 'application/json');
      if (request.url.startsWith('/api/run?')) return response.end(JSON.stringify({ ...doc, run: { ...doc.run, steps: 1500 + ++polls, running: polls < 2 } }));
      asked = JSON.parse(body).text;
      if (asked === '?') { response.statusCode = 400; return response.end(JSON.stringify({ error: 'no <b>such</b> character' })); }
      return response.end(JSON.stringify({ ...typed, at: typed.at.slice(-1), vocab: { 99: 'new' }, one_step: { ...doc.one_step, loss: 9.75 } }));
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { page, faults } = await open(`http://127.0.0.1:${server.address().port}/`);
  await scrollTo(page, 'confidence');
  await page.fill('#confidence form input', 'a text');
  await page.press('#confidence form input', 'Enter');
  await until(page, (n) => document.querySelectorAll('#confidence .token').length === n, typed.ids.length);
  check('the engine was asked for the text', asked === 'a text');
  check('its answer is shown', (await page.innerText('#confidence')).includes(`${(100 * typed.at[typed.at.length - 1].prob[1]).toFixed(0)}`));
  check('pictures are saved under the program\'s policy', (await saved(page, 'confidence', 'PNG')).bytes.length > 3000);
  await scrollTo(page, 'step');
  check('its step too', (await page.innerText('#step')).includes('9.75'));
  await scrollTo(page, 'confidence');
  await page.fill('#confidence form input', '?');
  await page.press('#confidence form input', 'Enter');
  await page.waitForSelector('#confidence .fault:not(:empty)');
  check('a refusal is told', (await page.innerText('#confidence .fault')).includes('no <b>such</b> character'));
  await until(page, () => document.querySelector('#top').innerText.includes('1,502'));
  check('a running training streams in', !(await page.innerText('#top')).includes('still running'));
  const before = polls;
  await page.waitForTimeout(2500);
  check('asking ends with the training', polls === before);
  check('no fault', faults.filter((fault) => !fault.includes('400')).length === 0, faults.join('\n'));
  server.close();
}

// A program whose training goes on: its document changes at every question, as far as `doc` is changed in between.
async function running(doc) {
  Object.assign(doc, { version: 1 });
  Object.assign(doc.run, { serve: true, running: true, steps: 1500 });
  const html = fs.readFileSync(writePage('running', [doc]));
  const program = { doc, goesOn: true, knowsVersions: true, broken: false, sent: 0, asked: 0 };
  const typed = JSON.parse(JSON.stringify(doc.texts[1]));
  for (const top of typed.at[typed.at.length - 1].top) top[0][1] = 0.001;  // less sure than anything of the run's own
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      if (request.url === '/') return response.setHeader('Content-Type', 'text/html; charset=utf-8').end(html);
      if (program.broken) return response.destroy();
      response.setHeader('Content-Type', 'application/json');
      if (request.url === '/api/text') return response.end(JSON.stringify({ ...typed, at: typed.at.slice(-1), vocab: {}, one_step: { ...doc.one_step, step: doc.run.steps + 1 } }));
      program.asked++;
      const known = new URL(request.url, 'http://127.0.0.1').searchParams.get('version');
      if (program.goesOn) {
        doc.version++;
        doc.run.steps += 10;
        for (const key of Object.keys(doc.loss)) if (key !== 'held_out') doc.loss[key].push(doc.loss[key][doc.loss[key].length - 1] + (key === 'step' ? 10 : 0));
        if (doc.per_matrix) {
          const { step, ...lists } = doc.per_matrix;
          for (const list of Object.values(lists).flat()) list.push(list[list.length - 1]);
          step.push(step[step.length - 1] + 10);
        }
      } else if (program.knowsVersions && known === String(doc.version)) {
        return response.end('{"unchanged": true}');
      }
      program.sent++;
      return response.end(JSON.stringify(doc));
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  program.end = () => server.close();
  program.url = `http://127.0.0.1:${server.address().port}/`;
  // Until the page has shown two documents more; or, where nothing changes, has asked twice more.
  program.wait = async (page) => {
    const from = program.goesOn ? program.sent : program.asked;
    const now = () => (program.goesOn ? program.sent : program.asked);
    for (const begin = Date.now(); now() < from + 2; await page.waitForTimeout(40)) if (Date.now() - begin > 15000) throw new Error('the page does not ask');
    await page.waitForTimeout(250);
  };
  return program;
}

async function testKeeps() {
  const program = await running(fixture(1, 'whole'));
  const { page, faults } = await open(program.url);
  await scrollTo(page, 'confidence');
  await page.click('#confidence form input');
  await page.keyboard.type('half a te');
  await page.evaluate(() => { window.field = document.activeElement; });
  await program.wait(page);
  check('what is typed stays, and the focus in it', await page.evaluate(() => document.activeElement === window.field && window.field.value === 'half a te'), await page.evaluate(() => `${document.activeElement.tagName} ${window.field.value}`));
  await page.keyboard.type('xt');
  check('typing goes on', (await page.inputValue('#confidence form input')) === 'half a text');
  await scrollTo(page, 'lens');
  check('the other fields have it too', (await page.inputValue('#lens form input')) === 'half a text');

  await scrollTo(page, 'loss');
  const ticks = () => page.evaluate(() => [...document.querySelector('#loss svg.chart').querySelectorAll('.axis:not(.grid) .tick text')].map((t) => t.textContent).join(' '));
  const whole = await ticks();
  const box = await page.evaluate(() => { const { x, y } = document.querySelector('#loss svg.chart').getBoundingClientRect(); return { x, y }; });
  await page.mouse.move(box.x + 700, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + 800, box.y + 110, { steps: 4 });
  await page.mouse.up();
  const near = await ticks();
  await page.mouse.move(box.x + 500, box.y + 150);
  const pathBefore = await page.getAttribute('#loss path.line', 'd');
  await program.wait(page);
  check('the chart is drawn with the new steps', (await page.getAttribute('#loss path.line', 'd')) !== pathBefore);
  check('what is enlarged stays so', near !== whole && (await ticks()) === near, `${whole} / ${near} / ${await ticks()}`);
  check('the tip under the pointer stays', /\d/.test(await tipText(page)));
  await page.mouse.move(box.x + 700, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + 740, box.y + 110, { steps: 4 });
  await page.evaluate(() => { window.chart = document.querySelector('#loss svg.chart'); });
  await program.wait(page);
  check('a drag is not broken off', await page.evaluate(() => window.chart.isConnected));
  await page.mouse.up();
  await page.waitForTimeout(200);
  check('after it the view catches up', !(await page.evaluate(() => window.chart.isConnected)));

  await page.focus('input#step');
  await page.keyboard.press('Home');
  await page.evaluate(() => { window.slider = document.getElementById('step').querySelector('input') || document.querySelector('input#step'); });
  await program.wait(page);
  check('the slider stays, with its step and the focus', await page.evaluate(() => document.activeElement === window.slider && window.slider.isConnected) && (await page.innerText('#player output')).startsWith('step 0'));
  await page.click('#play');
  await program.wait(page);
  const at = Number(await page.evaluate(() => window.slider.value));
  await page.waitForTimeout(1600);
  check('playing goes on with it', at > 0 && Number(await page.evaluate(() => window.slider.value)) > at, at);
  await page.click('#play');

  await scrollTo(page, 'graph');
  await page.click('#graph button:has-text("Run forward")');
  await page.evaluate(() => { window.graph = document.querySelector('#graph svg.chart'); });
  await program.wait(page);
  check('a run through the graph is not broken off, and ends', await page.evaluate(() => window.graph.isConnected || document.querySelector('#graph svg.chart:not([data-playing])') !== null));
  check('no fault', faults.length === 0, faults.join('\n'));
  program.end();
}

async function testStreams() {
  const program = await running(fixture(1, 'whole'));
  const { doc } = program;
  const { page, faults } = await open(program.url);
  const answer = () => page.innerText('.answers li:nth-child(4)');
  await scrollTo(page, 'confidence');
  const before = await answer();
  await page.fill('#confidence form input', 'a text');
  await page.press('#confidence form input', 'Enter');
  await until(page, () => document.querySelector('#confidence .at-step').innerText.includes('when it was asked'));
  const asked = await page.innerText('#confidence .at-step');
  await program.wait(page);
  check('a typed answer tells the step of its weights', /weights of step 1,5\d\d, when it was asked/.test(asked) && (await page.innerText('#confidence .at-step')) === asked, asked);
  check('a typed text is no answer of the run', (await answer()) === before, await answer());
  await scrollTo(page, 'loss');
  await page.click('#loss details summary');
  const rows = await page.innerText('#loss details .caption');
  doc.warnings.push({ view: 'loss', en: 'something new <b>', ko: '새 경고' });
  doc.left_out.push({ en: 'something left', ko: '빠진 것' });
  doc.per_matrix = null;
  await program.wait(page);
  check('a new warning comes', (await page.innerText('#loss .warning')).includes('something new <b>') && (await page.innerText('#nav [data-to=loss]')).includes('▲'));
  check('what is left out is told anew', (await page.innerText('.left-out')).includes('something left'));
  check('an open table goes on', (await page.innerText('#loss details .caption')) !== rows, rows);
  check('a view that has nothing any more saves nothing', (await page.$('#updates .tools')) === null && (await page.$('#loss .tools')) !== null);
  for (const knows of [true, false]) {
    program.goesOn = false;
    program.knowsVersions = knows;
    await program.wait(page);
    await page.evaluate(() => { window.chart = document.querySelector('#loss svg.chart'); });
    await program.wait(page);
    check(`an unchanged document draws nothing again${knows ? '' : ', without versions'}`, await page.evaluate(() => window.chart.isConnected));
  }
  program.broken = true;
  await until(page, () => document.querySelector('#top .lost') !== null);
  check('a lost connection is seen', await page.isVisible('#top .lost'));
  program.broken = false;
  await until(page, () => document.querySelector('#top .lost') === null);
  check('no fault', faults.filter((fault) => !/ERR_EMPTY_RESPONSE|ERR_CONNECTION|Failed to load/.test(fault)).length === 0, faults.join('\n'));
  program.end();
}

// The answers go by the rules of the program's warnings (view_warnings.cpp).
async function testAnswers() {
  const doc = fixture(1, 'whole');
  const held = doc.loss.held_out;
  held.loss = held.loss.map((_, i) => 2 - 0.1 * Math.min(i, 5));
  held.loss[held.loss.length - 1] = 1.512;  // 0.012 nats, 0.8 % of the best
  const first = doc.matrices.findIndex((m) => m.name === 'h.0.mlp.c_fc.weight'), last = doc.matrices.findIndex((m) => m.name === 'h.1.mlp.c_fc.weight');
  const { step, grad_norm: norms } = doc.per_matrix;
  const end = step[step.length - 1];
  norms[first] = step.map((s) => (s < 0.35 * end || s > 0.65 * end ? 1 : s % 7 === 0 ? 1 : 0.01));  // with single large ones
  norms[last] = step.map(() => 1);
  doc.texts[0].at[doc.texts[0].at.length - 1].top[2] = [[4, 0.07], [5, 0.06]];
  const { page, faults } = await open(writePage('answers', [doc]));
  const answers = await page.$$eval('.answers li', (items) => items.map((item) => item.innerText));
  check('it overfits by the rule of the warning', answers[0].includes('It began to overfit'), answers[0]);
  check('gradients vanish by the rule of the warning', answers[1].includes('the gradient of h.0.mlp.c_fc is 100 times smaller than that of h.1.mlp.c_fc'), answers[1]);
  check('unsure is where the best guess has little', answers[3].includes('token 4') && answers[3].includes('only 7'), answers[3]);
  const one = await page.evaluate(() => {
    const [run] = state.runs;
    run.matrices.forEach((m) => { m.name = m.name.replace('h.1.', 'lm.'); });
    return vanishing(run);
  });
  check('one block has nothing to compare', one.includes('one block only'), one);
  doc.per_matrix.grad_norm[0] = step.map(() => 0);
  const zero = await open(writePage('zero', [doc]));
  await scrollTo(zero.page, 'flow');
  check('a gradient of 0 is named', (await zero.page.innerText('#flow .legend')).includes('exactly 0'));
  const chart = await (await zero.page.$('#flow svg.chart:not(.key) >> nth=-1')).boundingBox();
  await zero.page.mouse.move(chart.x + chart.width / 2, chart.y + 14);
  check('and has a tip', /wte[^]*gradient norm\s*0\b/.test(await tipText(zero.page)), await tipText(zero.page));
  check('no fault', faults.concat(zero.faults).length === 0, faults.concat(zero.faults).join('\n'));
}

async function testGiven(files) {
  const names = files.length > 1 ? 2 : 1;
  const { page, faults, firstView } = await open(writePage('given', files.slice(0, 2)));
  console.log(`time to the first view, ${files.join(' and ')}: ${firstView} ms`);
  for (const id of views) {
    await scrollTo(page, id);
    check(`given ${id}: draws`, (await marks(page, id, 'svg.chart:not(.key) :is(path, rect, circle, image, text)')) > 5 * names);
    const png = await saved(page, id, 'PNG');
    check(`given ${id}: is saved`, png.bytes.length > 3000, png.bytes.length);
  }
  await scrollTo(page, 'confidence');
  const drawn = () => page.evaluate(() => document.querySelector('#confidence .body').innerHTML);
  const last = await drawn();
  await page.focus('input#step');
  await page.keyboard.press('Home');
  await page.waitForTimeout(200);
  check('given: the slider moves a view', (await drawn()) !== last);
  const heading = await page.innerText('#loss h2');
  await page.evaluate(() => scrollTo(0, 0));
  await page.click('#language');
  check('given: the language switches', (await page.innerText('#loss h2')) !== heading);
  await page.click('#language');
  await noSidewaysScroll(page, 'given run');
  await shootAll(page, 'given');
  check('no fault', faults.length === 0, faults.join('\n'));
  const phone = await open(writePage('given', files.slice(0, 2)), { width: 390, dark: true });
  for (const id of views) await scrollTo(phone.page, id);
  await noSidewaysScroll(phone.page, 'given run on a phone');
  check('no fault', phone.faults.length === 0, phone.faults.join('\n'));
}

for (const test of [testViews, testSlider, testHover, testChoices, testSaving, testLanguages, testComparing, testMissing, testDamaged, testHostile, testPhone, testLab, testLive, testKeeps, testStreams, testAnswers].filter((test) => !process.env.ONLY || test.name === process.env.ONLY)) {
  console.log(`== ${test.name}`);
  await test().catch((error) => check(test.name, false, error.stack));
}
const given = process.argv.slice(2);
for (const files of given.length > 1 ? [...given.map((file) => [file]), given] : [given]) {
  if (files.length > 0) await testGiven(files).catch((error) => check('testGiven', false, error.stack));
}
await end();
process.exit(verdict());
