"""PyTorch's side of a benchmark: trains the `nano` twin from given weights on given batches, as told on standard input.

    python3 scripts/bench/torch_peer.py FOLDER THREADS

FOLDER holds model.safetensors and batches.safetensors as scripts/reference/nano_twin.py writes them. Each input line
`MODE STEPS` trains that many steps and answers one JSON line {"losses": [...], "milliseconds": [...]}. Modes: `all`
computes logits at every position, `masked` only at masked positions (what our engine does).
"""
import json
import os
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'reference'))
import nano_twin as twin  # noqa: E402


class Run:
    def __init__(self, folder):
        weights = load_file(os.path.join(folder, 'model.safetensors'))
        self.model = twin.Model(weights['model.embed_tokens.weight'].shape[0])
        self.model.load_state_dict({name.removeprefix('model.'): value for name, value in weights.items()})
        self.mask_token = self.model.embed_tokens.num_embeddings - 1
        self.batches = load_file(os.path.join(folder, 'batches.safetensors'))
        matrices = [p for p in self.model.parameters() if p.dim() >= 2]
        vectors = [p for p in self.model.parameters() if p.dim() < 2]
        groups = [{'params': matrices, 'weight_decay': 0.1}, {'params': vectors, 'weight_decay': 0.0}]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), eps=1e-8, fused=True)
        self.step_number = 0

    def loss(self, mode, noisy, clean, probability):
        masked = noisy == self.mask_token
        weight = (masked / probability[:, None]) / clean.numel()
        if mode == 'all':
            nll = F.cross_entropy(self.model(noisy).flatten(0, 1), clean.flatten(), reduction='none').view(clean.shape)
            return (nll * weight).sum()
        hidden = self.model.hidden(noisy)[masked]
        return (F.cross_entropy(self.model.head(hidden), clean[masked], reduction='none') * weight[masked]).sum()

    def step(self, mode):
        index = self.step_number % len(self.batches['noisy'])
        noisy, clean = self.batches['noisy'][index].long(), self.batches['clean'][index].long()
        begin = time.perf_counter()
        for group in self.optimizer.param_groups:
            group['lr'] = twin.learning_rate(self.step_number)
        self.optimizer.zero_grad()
        loss = self.loss(mode, noisy, clean, self.batches['mask_probability'][index])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        value = loss.item()
        self.step_number += 1
        return value, (time.perf_counter() - begin) * 1e3


def main():
    folder, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    runs = {mode: Run(folder) for mode in ('all', 'masked')}
    print(json.dumps({'torch': torch.__version__, 'threads': torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        mode, steps = line.split()
        results = [runs[mode].step(mode) for _ in range(int(steps))]
        print(json.dumps({'losses': [loss for loss, _ in results], 'milliseconds': [ms for _, ms in results]}), flush=True)


main()
