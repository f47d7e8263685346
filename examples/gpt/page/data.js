// The documents in the page: parsed, packed arrays unpacked when a view asks for them, positions of steps found.

function documentIn(id) {
  const element = document.getElementById(id);
  return element ? JSON.parse(element.textContent) : null;
}

// Lists that are something else count as absent.
function normalized(doc) {
  for (const part of ['left_out', 'warnings', 'matrices', 'snapshots', 'texts', 'samples', 'previous']) {
    if (!Array.isArray(doc[part])) delete doc[part];
  }
  return doc;
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// IEEE 754 binary16, little-endian.
function fromHalf(half) {
  const sign = half & 0x8000 ? -1 : 1, exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// A flat array with its shape, from {"f16": base64, "shape"} or from nested arrays.
const unpackedArrays = new WeakMap();
function unpack(packed) {
  if (!packed) return null;
  if (unpackedArrays.has(packed)) return unpackedArrays.get(packed);
  let result;
  if (Array.isArray(packed)) {
    const shape = [];
    for (let level = packed; Array.isArray(level); level = level[0]) shape.push(level.length);
    result = { values: packed.flat(Infinity), shape };
  } else if (packed.f16 !== undefined) {
    const bytes = bytesOf(packed.f16), view = new DataView(bytes.buffer);
    const values = new Float32Array(bytes.length >> 1);
    for (let i = 0; i < values.length; i++) values[i] = fromHalf(view.getUint16(2 * i, true));
    result = { values, shape: packed.shape };
  } else {
    return null;
  }
  unpackedArrays.set(packed, result);
  return result;
}

// The T x T rows of one head.
function attentionOf(at, layer, head) {
  const attention = unpack(at && at.attention);
  if (!attention) return null;
  const [layers, heads, T] = attention.shape;
  if (layer >= layers || head >= heads) return null;
  const start = (layer * heads + head) * T * T;
  return { T, at: (query, key) => attention.values[start + query * T + key] };
}

// The last position in `steps` whose step is not after `step`; 0 if all are.
function indexAtStep(steps, step) {
  if (!steps || !steps.length) return -1;
  return Math.max(0, d3.bisectRight(steps, step) - 1);
}

const present = (part) => part !== null && part !== undefined && (!Array.isArray(part) || part.length > 0);

// The text that stands for a token id.
const tokenText = (doc, id) => visible((doc.vocab && doc.vocab[id]) ?? `#${id}`);

// "h.0.mlp.c_fc.weight" -> {block: 0, kind: "mlp.c_fc"}; block is null outside the blocks.
function matrixParts(name) {
  const match = /^h\.(\d+)\.(.*?)(\.weight)?$/.exec(name);
  if (match) return { block: Number(match[1]), kind: match[2] };
  return { block: null, kind: name.replace(/\.weight$/, '') };
}
const shortName = (name) => short(name.replace(/\.weight$/, ''), 30);
