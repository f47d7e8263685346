# word2vec: skip-gram with negative sampling (Mikolov et al. 2013) on sentences that the program makes.
import sys

import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
torch.manual_seed(1)
kinds = [
    ["cat", "dog", "horse", "mouse"],
    ["eats", "likes", "finds", "wants"],
    ["bread", "cheese", "fruit", "grass"],
    ["king", "queen", "prince", "duke"],
    ["rules", "leaves", "loses", "defends"],
    ["cities", "castles", "islands", "villages"],
]
words = ["the"] + [word for kind in kinds for word in kind]


def sentence():
    first = 3 * torch.randint(0, 2, (1,)).item()
    a, b, c = (1 + 4 * (first + i) + torch.randint(0, 4, (1,)).item() for i in range(3))
    return [0, a, b, c]


centers, contexts = [], []
counts = torch.zeros(len(words))
for _ in range(2000):
    ids = sentence()
    for i, center in enumerate(ids):
        counts[center] += 1
        for j in range(max(i - 2, 0), min(i + 3, len(ids))):
            if j != i:
                centers.append(center)
                contexts.append(ids[j])


class SkipGram(nn.Module):
    def __init__(self, words, dim):
        super().__init__()
        self.center = nn.Embedding(words, dim)
        self.context = nn.Embedding(words, dim)
        nn.init.uniform_(self.center.weight, -0.03, 0.03)

    def forward(self, center, context, negatives):
        c = self.center(center)
        near = (c * self.context(context)).sum(1)
        far = (self.context(negatives) @ c.unsqueeze(2)).squeeze(2)
        return -(F.logsigmoid(near) + F.logsigmoid(-far).sum(1)).mean()


net = SkipGram(len(words), 16)
adam = torch.optim.Adam(net.parameters(), lr=0.01)
loader = DataLoader(TensorDataset(torch.tensor(centers), torch.tensor(contexts)), batch_size=256, shuffle=True)
for epoch in range(int(10 * scale)):
    for center, context in loader:
        negatives = torch.multinomial(counts.pow(0.75), 5 * len(center), replacement=True).view(-1, 5)
        loss = net(center, context, negatives)
        adam.zero_grad()
        loss.backward()
        adam.step()
    print(f"epoch {epoch + 1:2}  loss {loss.item():.3f}")

with torch.no_grad():
    vectors = net.center.weight
    for kind in kinds:
        alike = F.cosine_similarity(vectors[words.index(kind[0])].unsqueeze(0), vectors)
        values, ids = alike.topk(4)
        print(f"{kind[0]}:", ", ".join(f"{words[i]} {v:.2f}" for v, i in zip(values[1:], ids[1:])))
