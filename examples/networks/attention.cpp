// Sorting by attention. A small GPT reads eight digits and writes them down in order. Its attention is the one that
// nanoGPT spells out step by step: scores, a mask over what comes later, softmax, a weighted sum.
//
//   build/bin/attention
#include <fmt/format.h>
#include <gradus/gradus.h>

#include <cmath>

using namespace gradus;

constexpr Index length = 8, n_embd = 48, n_head = 4;

struct CausalSelfAttention : nn::Module {
  nn::Linear c_attn{n_embd, 3 * n_embd}, c_proj{n_embd, n_embd};
  void members(nn::Visitor& visit) const override {
    visit("c_attn", c_attn);
    visit("c_proj", c_proj);
  }
  Tensor operator()(const Tensor& x) const {
    const auto [B, T, C] = x.sizes<3>();
    const std::vector<Tensor> qkv = split(c_attn(x), n_embd, 2);
    const Tensor q = qkv[0].view({B, T, n_head, C / n_head}).transpose(1, 2);  // (B, heads, T, C / heads)
    const Tensor k = qkv[1].view({B, T, n_head, C / n_head}).transpose(1, 2);
    const Tensor v = qkv[2].view({B, T, n_head, C / n_head}).transpose(1, 2);
    const Tensor mask = tril(ones({T, T}));
    Tensor att = matmul(q, k.transpose(-2, -1)) * (1 / std::sqrt(k.size(-1)));
    att = masked_fill(att, mask == 0, -INFINITY);
    const Tensor y = matmul(softmax(att, -1), v);  // (B, heads, T, C / heads)
    return c_proj(y.transpose(1, 2).view({B, T, C}));
  }
};

struct Block : nn::Module {
  nn::LayerNorm ln_1{n_embd}, ln_2{n_embd};
  CausalSelfAttention attn;
  nn::Sequential mlp{nn::Linear(n_embd, 4 * n_embd), nn::GELU(), nn::Linear(4 * n_embd, n_embd)};
  void members(nn::Visitor& visit) const override {
    visit("ln_1", ln_1);
    visit("attn", attn);
    visit("ln_2", ln_2);
    visit("mlp", mlp);
  }
  Tensor operator()(const Tensor& x) const {
    const Tensor y = x + attn(ln_1(x));
    return y + mlp(ln_2(y));
  }
};

struct GPT : nn::Module {
  nn::Embedding wte{10, n_embd}, wpe{2 * length, n_embd};
  nn::ModuleList<Block> h{Block(), Block()};
  nn::LayerNorm ln_f{n_embd};
  nn::Linear head{n_embd, 10};
  void members(nn::Visitor& visit) const override {
    visit("wte", wte);
    visit("wpe", wpe);
    visit("h", h);
    visit("ln_f", ln_f);
    visit("head", head);
  }
  Tensor operator()(const Tensor& digits) const {  // (B, T) -> (B, T, 10)
    Tensor x = wte(digits) + wpe(arange(digits.size(1)));
    for (const Block& block : h) x = block(x);
    return head(ln_f(x));
  }
};

int main(int argc, char** argv) {
  const double scale = argc > 1 ? std::stod(argv[1]) : 1;  // of the number of steps
  manual_seed(1);
  const GPT model;
  optim::AdamW optimizer(model.parameters(), {.lr = 3e-3});
  for (int step = 0; step < 500 * scale; ++step) {
    const Tensor digits = tensor(randint(0, 10, {64, length})), sorted = sort(digits, 1).values;
    const Tensor logits = model(slice(concat({digits, sorted}, 1), 1, 0, -1));
    // What comes after the digits counts, from the last of them on.
    const Tensor loss = cross_entropy(slice(logits, 1, length - 1, 2 * length), to_ids(sorted));
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    if (step % 100 == 0) fmt::print("step {:3}  loss {:.4f}\n", step, loss.item());
  }

  const NoGrad guard;
  const Tensor digits = tensor(randint(0, 10, {500, length}));
  Tensor text = digits;
  for (Index i = 0; i < length; ++i) {
    const Tensor next = tensor(argmax(select(model(text), 1, -1)), {500, 1});
    text = concat({text, next}, 1);
  }
  const Tensor written = slice(text, 1, length, 2 * length);
  const Tensor right = all(written == sort(digits, 1).values, 1);
  fmt::print("{:.0f}\n-> {:.0f}\n", digits[0], written[0]);
  fmt::print("sorted without a mistake: {:.1f} % of 500 new rows\n", 100 * right.mean().item());
}
