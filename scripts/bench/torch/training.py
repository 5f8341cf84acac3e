"""A training run in PyTorch: the masked objective with given loss weights, AdamW, and the ways to execute a step."""
import os

import torch
import torch._dynamo.utils
import torch.nn as nn
import torch.nn.functional as F
from model import load_model
from safetensors.torch import load_file


class AllPositions(nn.Module):
    """Logits at every position: tokens [B, T], targets and weights [B T]."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tokens, targets, weights):
        logits = self.model.head(self.model.hidden(tokens).flatten(0, 1))
        return (F.cross_entropy(logits.float(), targets, reduction='none') * weights).sum()


class MaskedPositions(AllPositions):
    """Logits where a weight is not zero; how many rows that are depends on the batch."""

    def forward(self, tokens, targets, weights):
        rows = weights.nonzero().squeeze(1)
        logits = self.model.head(self.model.hidden(tokens).flatten(0, 1).index_select(0, rows))
        return (F.cross_entropy(logits.float(), targets[rows], reduction='none') * weights[rows]).sum()


class GivenPositions(AllPositions):
    """Logits at given rows [R] with their targets and weights [R]: R is one number, so that nothing recompiles."""

    def forward(self, tokens, rows, targets, weights):
        logits = self.model.head(self.model.hidden(tokens).flatten(0, 1).index_select(0, rows))
        return (F.cross_entropy(logits.float(), targets, reduction='none') * weights).sum()


def read_batches(folder, device):
    tensors = load_file(os.path.join(folder, 'batches.safetensors'))
    tokens = tensors['tokens'].long().to(device)
    targets = tensors['targets'].long().flatten(1).to(device)
    return list(zip(tokens, targets, tensors['lossWeights'].flatten(1).to(device)))


def pad_rows(batches, multiple):
    """Batches with the rows that have a weight, filled up to one number of them with rows of weight 0."""
    most = max(int((weights != 0).sum()) for _, _, weights in batches)
    capacity = -(-most // multiple) * multiple
    padded = []
    for tokens, targets, weights in batches:
        rows = weights.nonzero().squeeze(1)
        rows = F.pad(rows, (0, capacity - len(rows)), value=int((weights == 0).nonzero()[0]))
        padded.append((tokens, rows, targets[rows], weights[rows]))
    return padded


def use_attention(kernel):
    """Leaves scaled_dot_product_attention one kernel to choose from; it fails where that one cannot be used."""
    torch.backends.cuda.enable_flash_sdp(kernel == 'flash')
    torch.backends.cuda.enable_cudnn_sdp(kernel == 'cudnn')
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_math_sdp(False)


class Training:
    """`execution` eager, compiled or cudagraphs; `head` all or masked; `dtype` float32 or bfloat16 (autocast);
    `attention` flash, cudnn, or None: PyTorch's own choice."""

    def __init__(self, folder, device, recipe, execution, head, dtype, attention=None):
        if attention is not None:
            use_attention(attention)
        self.device, self.recipe, self.execution, self.dtype = device, recipe, execution, dtype
        self.model = load_model(folder).to(device)
        self.batches = read_batches(folder, device)
        if head == 'all':
            loss = AllPositions(self.model)
        elif execution == 'eager':
            loss = MaskedPositions(self.model)
        else:
            loss = GivenPositions(self.model)
            self.batches = pad_rows(self.batches, 64 if device == 'cuda' else 1)  # tensor cores take whole tiles
        self.loss = loss if execution == 'eager' else compiled(loss, execution)
        matrices = [p for p in self.model.parameters() if p.dim() >= 2]
        vectors = [p for p in self.model.parameters() if p.dim() < 2]
        groups = [{'params': matrices, 'weight_decay': recipe['weightDecay']}, {'params': vectors, 'weight_decay': 0.0}]
        self.optimizer = torch.optim.AdamW(groups, betas=tuple(recipe['betas']), eps=recipe['epsilon'], fused=True)
        self.completed_steps = 0

    def step(self):
        """One optimizer step; the loss before it, on the device."""
        batch = self.batches[self.completed_steps % len(self.batches)]
        warm = min(1.0, (self.completed_steps + 1) / self.recipe['warmupSteps'])
        for group in self.optimizer.param_groups:
            group['lr'] = self.recipe['learningRate'] * warm
        self.optimizer.zero_grad()
        if self.execution == 'cudagraphs':
            torch.compiler.cudagraph_mark_step_begin()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.dtype == 'bfloat16'):
            loss = self.loss(*batch)
        loss.backward()
        if self.execution == 'cudagraphs':
            require_graphs()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe['gradientClip'])
        self.optimizer.step()
        self.completed_steps += 1
        return loss.detach().clone()  # a replayed graph writes the next loss to the same place


def require_graphs():
    """Fails where the compiler has passed over CUDA graphs, of which it only warns: another mode would be timed."""
    skips = torch._dynamo.utils.counters['inductor']['cudagraph_skips']
    if skips > 0:
        raise RuntimeError(f'torch.compile skipped CUDA graphs {skips} times; TORCH_LOGS=cudagraphs says why')


def compiled(loss, execution):
    torch._dynamo.config.error_on_recompile = True  # what is timed is one graph
    mode = 'reduce-overhead' if execution == 'cudagraphs' else 'default'
    return torch.compile(loss, fullgraph=True, dynamic=False, mode=mode)
