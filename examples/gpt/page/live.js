// With `gpt view --serve`: a text that is typed is answered by the engine, and a running training streams in.

const served = (docs) => docs.length === 1 && docs[0].run && docs[0].run.serve && location.protocol.startsWith('http');

// A field for a text of the reader's own; without the engine behind the page, the way to get it. What is typed is the
// same in all views, and stays when they are drawn again.
function typeForm(docs) {
  if (!served(docs)) return el('span', {}, T('type.without'));
  const input = el('input', { type: 'text', maxlength: 2000, 'aria-label': T('type.label'), placeholder: T('type.label') });
  input.value = state.typed || '';
  input.addEventListener('input', () => {
    state.typed = input.value;
    for (const other of document.querySelectorAll('form.type input')) if (other !== input) other.value = input.value;
  });
  const fault = el('span', { class: 'fault', role: 'alert' });
  const form = el('form', { class: 'type' }, input, el('button', { type: 'submit' }, T('type.ask')), fault);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    fault.textContent = '';
    try {
      const response = await fetch('/api/text', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ text: input.value }) });
      const answer = await response.json();
      if (!response.ok || !answer.at) throw new Error(localized(answer.error) || `${response.status}`);
      addTyped(state.runs[0], answer);
    } catch (error) {
      fault.textContent = `${T('type.failed')} ${error.message}`;
    }
  });
  return form;
}

// The answer has the weights of one step, told beside it, whatever the slider says. Its step of Adam, if it has one, takes
// the place of the recorded one.
function addTyped(doc, answer) {
  const next = answer.one_step && answer.one_step.step;
  const asked = isNumber(next) ? next - 1 : doc.run.steps;
  Object.assign(doc.vocab = doc.vocab || {}, answer.vocab || {});
  doc.texts = (doc.texts || []).filter((t) => !t.live).concat({ text: answer.text, ids: answer.ids, pieces: answer.pieces, at: answer.at, live: true, asked });
  state.text = doc.texts.length - 1;
  if (answer.one_step && present(answer.one_step.weights)) {
    doc.one_step = { ...answer.one_step, typed: true };
    chooseWeight(doc);
  }
  refresh([...textViews, 'step']);
}

// Asks for the document, unless the one that is shown is the newest; null then. A program that knows no versions sends
// the whole again.
async function newerRun() {
  const { version } = state.runs[0];
  const response = await fetch(`/api/run${isNumber(version) || typeof version === 'string' ? `?version=${encodeURIComponent(version)}` : ''}`);
  if (!response.ok) throw new Error(`${response.status}`);
  const text = await response.text();
  const fresh = text === state.answered ? { unchanged: true } : JSON.parse(text);
  if (fresh.unchanged) return null;
  state.answered = text;
  return normalized(fresh);
}

// The weight that is shown, wherever it stands in the new list.
function keepWeight(old, fresh) {
  const [before, now] = [old, fresh].map((doc) => (doc.one_step && doc.one_step.weights) || []);
  const shown = before[state.weight];
  const at = shown ? now.findIndex((w) => w.name === shown.name && w.row === shown.row && w.col === shown.col) : -1;
  if (at >= 0) state.weight = at; else chooseWeight(fresh);
}

// The reader's own text stays with its answer, and everything that the reader has in hand as it is.
function takeRun(fresh) {
  const [old] = state.runs;
  const typed = (old.texts || []).filter((t) => t.live);
  if (typed.length) {
    const at = state.text === old.texts.length - 1;
    fresh.texts = (fresh.texts || []).concat(typed);
    fresh.vocab = { ...old.vocab, ...fresh.vocab };
    if (old.one_step && old.one_step.typed) fresh.one_step = old.one_step;
    if (at) state.text = fresh.texts.length - 1;
  }
  keepWeight(old, fresh);
  const stops = sliderSteps(), atEnd = !stops.length || state.step >= stops[stops.length - 1];
  state.runs = [fresh];
  const now = sliderSteps();
  if (atEnd && now.length) state.step = now[now.length - 1];
  buildTop();
  buildNav();
  for (const { frame } of drawn.values()) frame();
  tellLeftOut();
  player.follow();
  refresh(null, 'gently');
  if (!fresh.run.running) { clearInterval(state.polling); state.polling = null; }
}

async function poll() {
  if (document.hidden || state.asking) return;
  state.asking = true;
  let fresh = null, lost = false;
  try {
    fresh = await newerRun();
  } catch {
    lost = true;
  }
  state.asking = false;
  if (lost !== Boolean(state.lost)) { state.lost = lost; buildTop(); }
  if (fresh) takeRun(fresh);
  schedule();
}
