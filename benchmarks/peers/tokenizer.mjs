// node benchmarks/peers/tokenizer.mjs FOLDER TEXT...: times GPT-2's tokens of texts here and by OpenAI's tiktoken (npm, in
// FOLDER/node_modules), one thread each, turn about; prints the medians. `make bench-tokenizer` calls it.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const turns = 15;
const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const folder = resolve(process.argv[2]);
const require = createRequire(join(folder, 'x.js'));
const tiktoken = require('tiktoken').get_encoding('gpt2');

// GPT-2's vocabulary as a rank file, from the package's own.
const vocabulary = join(folder, 'gpt2.tiktoken');
const ranks = require('tiktoken/encoders/gpt2.json').bpe_ranks.split('\n').filter(Boolean).flatMap((line) => {
  const [, first, ...tokens] = line.split(' ');
  return tokens.map((token, i) => `${token} ${Number(first) + i}`);
});
writeFileSync(vocabulary, ranks.join('\n') + '\n');

const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];

for (const file of process.argv.slice(3)) {
  const text = readFileSync(file, 'utf8');
  const bytes = Buffer.byteLength(text);
  const gradus = spawn(join(root, 'build/bin/bench_tokenizer'), ['--serve'], {
    env: { ...process.env, GRADUS_TEXT: file, GRADUS_VOCABULARY: vocabulary }, stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answers = createInterface({ input: gradus.stdout })[Symbol.asyncIterator]();
  const times = { gradus: [], tiktoken: [] };
  tiktoken.encode_ordinary(text);
  for (let turn = 0; turn < turns; ++turn) {
    gradus.stdin.write('tokenizer/encode 1 0.01\n');
    times.gradus.push(JSON.parse((await answers.next()).value).seconds);
    const start = process.hrtime.bigint();
    tiktoken.encode_ordinary(text);
    times.tiktoken.push(Number(process.hrtime.bigint() - start) / 1e9);
  }
  gradus.stdin.end();
  const here = median(times.gradus), there = median(times.tiktoken);
  const speed = (seconds) => `${(bytes / seconds / 1e6).toFixed(1)} MB/s`;
  console.log(`${file}: gradus ${speed(here)}, tiktoken ${speed(there)}: ${(there / here).toFixed(1)} times as fast`);
}
