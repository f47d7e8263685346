# Names, letter by letter: an LSTM learns which letter comes next, then makes up names of its own.
import os
import random
import sys

import torch
import torch.nn as nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

longest = 15
boundary = 26


class CharLSTM(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embedding = nn.Embedding(vocab, 32)
        self.lstm = nn.LSTM(32, 128, batch_first=True)
        self.head = nn.Linear(128, vocab)

    def forward(self, letters, state=None):
        output, state = self.lstm(self.embedding(letters), state)
        return self.head(output), state


class Names(Dataset):
    def __init__(self, names, stoi):
        self.names = names
        self.stoi = stoi

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i):
        tokens = [boundary] + [self.stoi[c] for c in self.names[i]] + [boundary]
        inputs = torch.zeros(longest, dtype=torch.long)
        targets = torch.full((longest,), -1)
        inputs[: len(tokens) - 1] = torch.tensor(tokens[:-1])
        targets[: len(tokens) - 1] = torch.tensor(tokens[1:])
        return inputs, targets


def loss_of(model, inputs, targets):
    logits, _ = model(inputs)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1
torch.manual_seed(1)
random.seed(1)
path = os.path.join(os.path.dirname(__file__), "../../data/names.txt")
names = open(path).read().splitlines()
random.shuffle(names)
itos = sorted(set("".join(names)))
stoi = {c: i for i, c in enumerate(itos)}
test = Names(names[:1000], stoi)
train = Names(names[1000 : 1000 + int(19000 * scale)], stoi)
test_loader = DataLoader(test, batch_size=1000)
loader = DataLoader(train, batch_size=64, shuffle=True)

model = CharLSTM(len(itos) + 1)
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
for epoch in range(1, 5):
    for inputs, targets in loader:
        loss = loss_of(model, inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
    with torch.no_grad():
        print(f"epoch {epoch}  loss on new names {loss_of(model, *next(iter(test_loader))):.3f}")
    scheduler.step()

with torch.no_grad():
    letters = torch.full((20, 1), boundary)
    made, state = [], None
    for _ in range(longest):
        logits, state = model(letters, state)
        letters = torch.multinomial(F.softmax(logits[:, -1] / 0.8, dim=-1), 1)
        made.append(letters)
for name in torch.cat(made, 1).tolist():
    name = name[: name.index(boundary)] if boundary in name else name
    print("".join(itos[c] for c in name))
