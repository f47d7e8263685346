// The page around the views: header with the answers, navigation, the step slider, languages, light and dark.

function applyTheme() {
  const dark = state.theme === 'dark' || (state.theme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
}

function switches() {
  const language = el('button', { id: 'language', lang: state.language === 'ko' ? 'en' : 'ko', onclick: () => { state.language = state.language === 'ko' ? 'en' : 'ko'; store('language', state.language); build(); document.getElementById('language').focus(); } },
    state.language === 'ko' ? 'English' : '한국어');
  const dark = document.documentElement.dataset.theme === 'dark';
  const theme = el('button', { id: 'theme', 'aria-pressed': String(dark), onclick: () => { state.theme = dark ? 'light' : 'dark'; store('theme', state.theme); applyTheme(); build(); document.getElementById('theme').focus(); } }, T(dark ? 'light' : 'dark'));
  return el('div', { class: 'switches' }, language, theme);
}

function facts(doc) {
  const run = doc.run || {}, config = run.config || {};
  const held = doc.loss && doc.loss.held_out && doc.loss.held_out.loss.filter(isNumber);
  const rows = [
    [T('fact.parameters'), count(run.parameters)],
    [T('fact.blocks'), `${config.n_layer ?? '–'} × ${config.n_head ?? '–'}`],
    [T('fact.steps'), count(run.steps)],
    [T('fact.tokens'), count(run.tokens)],
    [T('fact.seconds'), isNumber(run.seconds) ? `${number(run.seconds, 3)} s` : '–'],
    [T('fact.held_out'), held && held.length ? number(d3.min(held), 4) : '–'],
  ];
  return el('dl', { class: 'facts' }, rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

function buildTop() {
  const names = state.runs.map(runName);
  document.title = `${names.join(' – ')} · gradus`;
  fill(document.getElementById('top'),
    el('div', { class: 'line' }, el('h1', {}, el('bdi', {}, names.join(` ${T('against')} `))), switches()),
    state.lost ? el('p', { class: 'warning lost', role: 'alert' }, T('type.lost')) : null,
    ...state.runs.flatMap((doc) => [
      el('p', { class: 'lead' }, compared() ? el('b', {}, `${runName(doc)}: `) : null, doc.run && doc.run.command ? el('code', {}, readable(doc.run.command)) : null, doc.run && doc.run.running ? ` · ${T('running')}` : null),
      guarded(() => facts(doc))]),
    warningsElsewhere().map((text) => el('p', { class: 'warning' }, text)),
    guarded(answerList));
}

const canFocus = 'a, summary, [tabindex="0"], button, select, input';

// New content for a box, if it is another; the focus stays at its place.
function fill(box, ...children) {
  const fresh = el('div', {}, ...children);
  if (fresh.innerHTML === box.innerHTML) return;
  const focus = box.contains(document.activeElement) ? [...box.querySelectorAll(canFocus)].indexOf(document.activeElement) : -1;
  box.replaceChildren(...fresh.childNodes);
  const again = focus >= 0 && [...box.querySelectorAll(canFocus)][focus];
  if (again) again.focus({ preventScroll: true });
}

// Warnings of views that this page does not know are not lost.
const warningsElsewhere = () => state.runs.flatMap((doc) => (doc.warnings || []).filter((w) => !views.some((v) => v.id === w.view)).map(localized));

function buildNav() {
  const groups = [...new Set(views.map((v) => v.group))];
  const nav = document.getElementById('nav');
  nav.setAttribute('aria-label', T('nav'));
  const current = nav.querySelector('[aria-current]');
  const at = current && current.dataset.to;
  fill(nav, el('a', { class: 'brand', href: '#top' }, 'gradus'), ...groups.flatMap((group) => [
    el('h2', {}, T(`group.${group}`)),
    ...views.filter((v) => v.group === group).map((v) =>
      el('a', { class: state.runs.some((doc) => v.needs(doc)) ? 'to' : 'to missing', href: `#${v.id}`, 'data-to': v.id, 'aria-current': v.id === at ? 'true' : null }, T(`${v.id}.title`), warningsOf(v.id).length ? el('span', { class: 'flag', 'aria-label': T('warning') }, ' ▲') : null)),
  ]));
}

const warningsOf = (id) => state.runs.flatMap((doc) => (doc.warnings || []).filter((w) => w.view === id).map((w) => (compared() ? `${runName(doc)}: ` : '') + localized(w)));

function viewSection(definition) {
  const { id } = definition;
  const title = T(`${id}.title`);
  const body = el('div', { class: 'body' });
  const tools = saveTools(id, body, title, definition, ['SVG', 'PNG', 'CSV']);
  const header = el('header', {}, el('h2', { id: `${id}-title` }, title)), warned = el('div', {});
  const table = el('div', { class: 'scroll' });
  const numbers = el('details', { class: 'numbers' }, el('summary', {}, T('numbers')), table);
  numbers.addEventListener('toggle', () => fill(table, ...(numbers.open ? numbersTable(definition) : [])));
  const section = el('section', { class: 'view', id, 'aria-labelledby': `${id}-title` }, header, el('p', { class: 'look' }, T(`${id}.look`)), warned, body);
  // What is around the drawing, of the documents as they are now.
  const frame = () => {
    fill(warned, warningsOf(id).map((text) => el('p', { class: 'warning' }, text)));
    if (!state.runs.some((doc) => definition.needs(doc))) { tools.remove(); numbers.remove(); return; }
    if (!tools.isConnected) header.append(tools);
    if (!numbers.isConnected) section.append(numbers);
    if (numbers.open) fill(table, ...numbersTable(definition));
  };
  frame();
  drawn.set(id, { definition, body, frame, dirty: 'at once', seen: false, moved: false, atStep: null, controls: null });
  return section;
}

function numbersTable(definition) {
  const parts = [];
  for (const doc of state.runs.filter((d) => definition.needs(d))) {
    const rows = definition.csv(doc);
    const shown = rows.slice(1, 201);
    parts.push(el('table', {}, compared() ? el('caption', {}, runName(doc)) : null,
      el('thead', {}, el('tr', {}, rows[0].map((name) => el('th', { scope: 'col' }, name)))),
      el('tbody', {}, shown.map((row) => el('tr', {}, row.map((cell) => el('td', { class: typeof cell === 'number' ? 'n' : null }, typeof cell === 'number' ? number(cell, 5) : readable(cell ?? ''))))))));
    if (rows.length > 201) parts.push(el('p', { class: 'caption' }, T('numbers.more', rows.length - 1)));
  }
  return parts;
}

function absent(definition, doc) {
  return el('div', { class: 'absent' }, compared() ? el('b', {}, `${runName(doc)}: `) : null, T(`${definition.id}.missing`));
}

// A part that is not as it should be costs its view, which says so, and no other.
function guarded(draw) {
  try {
    return draw();
  } catch (error) {
    console.error(error);
    return el('div', { class: 'absent', role: 'alert' }, T('failed', error.message));
  }
}

// Controls stay in the page while they say the same, and the field for a text always: whoever types goes on.
function placeControls(entry, having) {
  const { definition, body, controls: old } = entry;
  const fresh = having.length && definition.controls ? guarded(() => definition.controls(having)) : null;
  const written = fresh && fresh.outerHTML;
  if (old && written === entry.written) return;
  entry.written = written;
  const form = old && old.querySelector(':scope > form.type'), place = fresh && fresh.querySelector(':scope > form.type');
  if (form && place) {
    const all = [...fresh.childNodes], at = all.indexOf(place);
    for (const node of [...old.childNodes]) if (node !== form) node.remove();
    form.before(...all.slice(0, at));
    form.after(...all.slice(at + 1));
    return;
  }
  if (old) old.remove();
  if (fresh) body.prepend(fresh);
  entry.controls = fresh;
}

// Draws a view: once for all runs if it can lay them over one another, else one beside the other.
function drawView(id, entry) {
  const { definition, body } = entry;
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  const focus = focused ? [...body.querySelectorAll(canFocus)].indexOf(focused) : -1;
  const pointed = !document.getElementById('tip').hidden && pointer.x >= 0 && body.contains(document.elementFromPoint(pointer.x, pointer.y));
  const height = body.getBoundingClientRect().height;
  body.style.minHeight = `${height}px`;
  for (const node of [...body.childNodes]) if (node !== entry.controls) node.remove();
  if (pointed || focused) tip.hide();  // it may be of another view
  const having = state.runs.filter((doc) => definition.needs(doc));
  const moves = [];
  const add = (box, draw) => {
    const result = guarded(draw);
    if (result instanceof Node) box.append(result); else moves.push(result);
  };
  placeControls(entry, having);
  if (having.length) {
    if (definition.together) {
      add(body, () => definition.draw(body, having));
    } else {
      const sides = compared() ? el('div', { class: 'sides' }) : body;
      if (compared()) body.append(sides);
      // All sides first: a drawing is as wide as its side.
      const boxes = having.map((doc) => el('div', { class: 'side' }, compared() ? el('div', { class: 'of' }, runName(doc)) : null));
      sides.append(...boxes);
      having.forEach((doc, i) => add(boxes[i], () => definition.draw(boxes[i], doc)));
    }
  }
  for (const doc of state.runs) if (!having.includes(doc)) body.append(absent(definition, doc));
  entry.atStep = moves.every((m) => typeof m === 'function') && moves.length ? () => moves.forEach((m) => m()) : definition.still ? () => {} : null;
  entry.dirty = false;
  body.style.minHeight = '';
  const again = focus >= 0 && !focused.isConnected && [...body.querySelectorAll(canFocus)][focus];
  if (again) again.focus({ preventScroll: true });
  const under = pointed && document.elementFromPoint(pointer.x, pointer.y);
  if (under) under.dispatchEvent(new PointerEvent('pointermove', { clientX: pointer.x, clientY: pointer.y, bubbles: true }));
}

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const entry = drawn.get(target.id);
    if (entry) entry.seen = isIntersecting;
  }
  schedule();
}, { rootMargin: '150px' });
const place = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    for (const link of document.querySelectorAll('#nav a.to')) {
      if (link.dataset.to === target.id) link.setAttribute('aria-current', 'true'); else link.removeAttribute('aria-current');
    }
  }
}, { rootMargin: '-25% 0px -65% 0px' });

function buildViews() {
  drawn.clear();
  sight.disconnect();
  place.disconnect();
  const main = document.getElementById('main');
  let group = null;
  const children = [];
  for (const definition of views) {
    if (definition.group !== group) children.push(el('div', { class: 'group' }, T(`group.${group = definition.group}`)));
    children.push(viewSection(definition));
  }
  main.replaceChildren(...children, el('div', { id: 'left-out' }));
  tellLeftOut();
  drawView(...drawn.entries().next().value);  // the first at once, even below a long heading
  for (const section of main.querySelectorAll('section.view')) { sight.observe(section); place.observe(section); }
}

function tellLeftOut() {
  const left = state.runs.flatMap((doc) => (doc.left_out || []).map(localized));
  fill(document.getElementById('left-out'), left.length ? el('div', { class: 'left-out' }, el('h3', {}, T('left_out')), el('ul', {}, left.map((text) => el('li', {}, text)))) : null);
}

// The slider's nodes stay while the training goes on: follow() takes the steps that there are now.
let playing = null, player = null;
function buildPlayer() {
  const box = document.getElementById('player');
  let stops = [];
  const output = el('output', { for: 'step' });
  const slider = el('input', { id: 'step', type: 'range', min: 0, 'aria-label': T('player.step') });
  const tell = () => {
    const snapshots = state.runs[0].snapshots || [];
    const snapshot = snapshots[indexAtStep(snapshots, state.step)];
    output.replaceChildren(`${T('step')} ${count(state.step)}`, el('small', {}, isNumber(snapshot) ? T('player.snapshot', count(snapshot)) : ''));
    slider.setAttribute('aria-valuetext', `${T('step')} ${state.step}`);
  };
  const go = (index) => { slider.value = index; moveToStep(stops[index]); tell(); };
  slider.addEventListener('input', () => go(Number(slider.value)));
  const button = el('button', { id: 'play', 'aria-pressed': String(Boolean(playing)), onclick: () => play() }, T(playing ? 'pause' : 'play'));
  function play() {
    if (playing) { clearInterval(playing); playing = null; } else {
      const marks = () => ((state.runs[0].snapshots || []).length > 1 ? state.runs[0].snapshots : stops);
      let next = state.step >= marks()[marks().length - 1] ? 0 : indexAtStep(marks(), state.step) + 1;
      playing = setInterval(() => {
        if (next >= marks().length) return play();
        go(Math.max(0, d3.bisectLeft(stops, marks()[next++])));
      }, 700);
    }
    button.textContent = T(playing ? 'pause' : 'play');
    button.setAttribute('aria-pressed', String(Boolean(playing)));
  }
  function follow() {
    stops = sliderSteps();
    if (stops.length < 2) return box.replaceChildren();
    slider.max = stops.length - 1;
    slider.value = Math.max(0, d3.bisectRight(stops, state.step) - 1);
    if (!slider.isConnected) box.replaceChildren(button, slider, output);
    tell();
  }
  box.setAttribute('role', 'group');
  box.setAttribute('aria-label', T('player'));
  box.replaceChildren();
  player = { follow };
  follow();
}

function build() {
  if (playing) { clearInterval(playing); playing = null; }
  document.documentElement.lang = state.language;
  document.querySelector('.skip').textContent = T('skip');
  if (state.lab) { buildLab(switches()); return; }
  buildTop();
  buildNav();
  buildViews();
  buildPlayer();
}

function start() {
  applyTheme();
  state.lab = documentIn('lab');
  state.runs = [documentIn('run'), documentIn('run2')].filter(Boolean).map(normalized);
  if (state.runs.length) {
    const stops = sliderSteps();
    state.step = stops.length ? stops[stops.length - 1] : 0;
    guarded(() => chooseStart(state.runs[0]));
  }
  build();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { if (state.theme === 'auto') { applyTheme(); build(); } });
  let width = innerWidth;
  addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; if (state.lab) state.labDraw(); else refresh(); } });
  if (state.runs.some((doc) => doc.run && doc.run.running && doc.run.serve)) state.polling = setInterval(poll, 2000);
}

start();
