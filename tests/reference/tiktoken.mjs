// node tests/reference/tiktoken.mjs FOLDER: has OpenAI's tiktoken (npm, in FOLDER/node_modules) encode random strings and
// writes a hash of the tokens of every 100 to tiktoken.json, for tests/models/text/bpe_tokenizer_test.cpp, which makes
// the same strings. `make reference` runs it. Two vocabularies:
// - gpt2: GPT-2's own, with 50,257 tokens
// - pairs: every byte and every pair of bytes, which shows where pieces begin: a piece is cut into pairs from its left
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const { Tiktoken, get_encoding } = createRequire(join(resolve(process.argv[2]), 'x.js'))('tiktoken');
const inputs = JSON.parse(readFileSync(join(here, 'tiktoken_inputs.json'), 'utf8'));
const pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

let state = inputs.seed;
function below(n) {  // xorshift32 (Marsaglia 2003)
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % n;
}

const spaces = inputs.spaces.split(' ').map((c) => parseInt(c, 16));
const ranges = inputs.ranges.map((range) => range.split('-').map((c) => parseInt(c, 16)));
function unit() {
  switch (below(8)) {
    case 0: return String.fromCodePoint(0x20 + below(95));
    case 1: return inputs.sequences[below(inputs.sequences.length)];
    case 2: return String.fromCodePoint(0x30 + below(10));
    case 3: return String.fromCodePoint(spaces[below(spaces.length)]).repeat(1 + below(3));
    case 4: return String.fromCodePoint(0xAC00 + below(11172));
    case 5: return String.fromCodePoint(0x61 + below(26));
    default: {
      const [low, high] = ranges[below(ranges.length)];
      return String.fromCodePoint(low + below(high - low + 1));
    }
  }
}
function string() {
  let text = '';
  for (let units = below(24); units > 0; --units) text += unit();
  return text;
}

function add(hash, number) {  // FNV-1a of its four bytes
  for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((number >>> shift) & 255), 0x01000193);
  return hash;
}

function pairs_encoding() {
  const tokens = [];
  for (let byte = 0; byte < 256; ++byte) tokens.push(Buffer.from([byte]));
  for (let left = 0; left < 256; ++left) for (let right = 0; right < 256; ++right) tokens.push(Buffer.from([left, right]));
  return new Tiktoken('! 0 ' + tokens.map((token) => token.toString('base64')).join(' '), {}, pattern);
}

const encodings = { gpt2: get_encoding('gpt2'), pairs: pairs_encoding() };
const hashes = { gpt2: [], pairs: [] };
for (let i = 0; i < inputs.strings; ++i) {
  const text = string();
  for (const [name, encoding] of Object.entries(encodings)) {
    if (i % inputs.together === 0) hashes[name].push(0x811c9dc5 | 0);
    let hash = hashes[name].pop();
    for (const token of encoding.encode_ordinary(text)) hash = add(hash, token);
    hashes[name].push(add(hash, 0xffffffff));
  }
}
const lines = (all) => all.map((hash, i) => (i % 10 === 0 ? '\n  ' : ' ') + `"${(hash >>> 0).toString(16).padStart(8, '0')}"`);
writeFileSync(join(here, 'tiktoken.json'),
  `{\n "gpt2": [${lines(hashes.gpt2)}\n ],\n "pairs": [${lines(hashes.pairs)}\n ]\n}\n`);
