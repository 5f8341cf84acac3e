"""The `nano` preset in PyTorch: exports initial weights, masked batches and the losses of the first steps (in float64).

    python3 scripts/reference/nano_twin.py TEXT_FILE OUT_DIR [--steps 50] [--seed 1]

Needs torch and safetensors. Writes OUT_DIR/{config.json, model.safetensors, batches.safetensors, losses.json}; the test
`nano-twin` trains from the same weights on the same batches and compares every loss.
"""
import argparse
import copy
import json
import math
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

LAYERS, HEADS, WIDTH, CONTEXT, BATCH = 4, 4, 128, 64, 32
TOTAL_STEPS, PEAK, WARMUP, MIN_TIME = 1500, 3e-3, 75, 1e-3
EPS = torch.finfo(torch.float32).eps


def rotate(x):
    """Rotary embedding, half-split convention. x [B, H, T, D]."""
    length, width = x.shape[-2:]
    angle = torch.arange(length, dtype=x.dtype)[:, None] * 10000.0 ** (-torch.arange(0, width, 2, dtype=x.dtype) / width)
    a, b = x[..., : width // 2], x[..., width // 2 :]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x):
        heads = lambda y: y.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)
        norm = lambda y: F.rms_norm(y, (WIDTH // HEADS,), eps=EPS)
        q, k = rotate(norm(heads(self.q_proj(x)))), rotate(norm(heads(self.k_proj(x))))
        y = F.scaled_dot_product_attention(q, k, heads(self.v_proj(x)))
        return self.o_proj(y.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.up_proj, self.down_proj = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        return self.down_proj(F.gelu(self.up_proj(x), approximate='tanh'))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = nn.RMSNorm(WIDTH, EPS), nn.RMSNorm(WIDTH, EPS)
        self.self_attn, self.mlp = Attention(), Mlp()

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    def __init__(self, vocab_size):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH, EPS)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(('o_proj.weight', 'down_proj.weight'))
                nn.init.normal_(parameter, 0, 0.02 / (math.sqrt(2 * LAYERS) if residual else 1))
            elif name.endswith('bias'):
                nn.init.zeros_(parameter)

    def hidden(self, tokens):
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def head(self, hidden):
        return hidden @ self.embed_tokens.weight.T

    def forward(self, tokens):
        return self.head(self.hidden(tokens))


def learning_rate(step):
    if step < WARMUP:
        return PEAK * (step + 1) / WARMUP
    progress = (step - WARMUP) / (TOTAL_STEPS - WARMUP)
    return PEAK * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def config(vocab_size):
    return {
        'model_type': 'dllm_native', 'architectures': ['DllmNativeModel'],
        'vocab_size': vocab_size, 'hidden_size': WIDTH, 'intermediate_size': 4 * WIDTH, 'num_hidden_layers': LAYERS,
        'num_attention_heads': HEADS, 'num_key_value_heads': HEADS, 'max_position_embeddings': CONTEXT,
        'hidden_act': 'gelu_pytorch_tanh', 'rms_norm_eps': EPS, 'rope_theta': 10000.0, 'tie_word_embeddings': True, 'mask_token_id': vocab_size - 1,
    }


def batches(train, mask_token, steps):
    """Noisy and clean tokens of every step [B, T], and the mask probability of each sequence [B]."""
    for _ in range(steps):
        starts = torch.randint(0, len(train) - CONTEXT, (BATCH,))
        clean = torch.stack([train[i : i + CONTEXT] for i in starts])
        probability = (1 - MIN_TIME) * (torch.arange(BATCH) + torch.rand(1)) / BATCH + MIN_TIME
        masked = torch.rand(clean.shape) < probability[:, None]
        yield torch.where(masked, mask_token, clean), clean, probability


def train_steps(model, data, mask_token):
    """Losses (before each update) and gradient norms (before clipping) of one optimizer step for each batch."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{'params': matrices, 'weight_decay': 0.1}, {'params': vectors, 'weight_decay': 0.0}],
                                  betas=(0.9, 0.99), eps=1e-8)
    losses, norms = [], []
    for step, (noisy, clean, probability) in enumerate(data):
        for group in optimizer.param_groups:
            group['lr'] = learning_rate(step)
        optimizer.zero_grad()
        nll = F.cross_entropy(model(noisy).flatten(0, 1), clean.flatten(), reduction='none').view(clean.shape)
        loss = (nll * (noisy == mask_token) / probability[:, None]).sum() / clean.numel()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('text')
    parser.add_argument('out')
    parser.add_argument('--steps', type=int, default=50)
    parser.add_argument('--seed', type=int, default=1)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)

    text = open(arguments.text, encoding='utf-8').read()
    characters = sorted(set(text))
    vocab_size, mask_token = len(characters) + 1, len(characters)
    assert vocab_size <= 256, 'batches are stored as bytes'
    lookup = {character: index for index, character in enumerate(characters)}
    ids = torch.tensor([lookup[character] for character in text])

    model = Model(vocab_size)
    data = list(batches(ids[: int(0.9 * len(ids))], mask_token, arguments.steps))
    os.makedirs(arguments.out, exist_ok=True)
    save_file({'model.' + name: parameter.detach().clone() for name, parameter in model.named_parameters()},
              os.path.join(arguments.out, 'model.safetensors'), metadata={'format': 'pt'})
    save_file({'noisy': torch.stack([noisy for noisy, _, _ in data]).to(torch.uint8),
               'clean': torch.stack([clean for _, clean, _ in data]).to(torch.uint8),
               'mask_probability': torch.stack([probability for _, _, probability in data])},
              os.path.join(arguments.out, 'batches.safetensors'))

    # Losses are kept in float64; float32 must follow them, or the run is too unstable to compare another one with.
    double_model = copy.deepcopy(model).double()
    losses, norms = train_steps(double_model, data, mask_token)
    float_losses, _ = train_steps(model, data, mask_token)
    difference = max(abs(a - b) for a, b in zip(losses, float_losses))
    print(f'seed {arguments.seed}: {arguments.steps} steps, loss {losses[0]:.4f} -> {losses[-1]:.4f}, '
          f'float32 differs from float64 by at most {difference:.1e}')
    for name, value in (('config.json', config(vocab_size)),
                        ('losses.json', {'torch': torch.__version__, 'seed': arguments.seed, 'losses': losses,
                                         'gradient_norms': norms, 'float32_difference': difference})):
        with open(os.path.join(arguments.out, name), 'w') as file:
            json.dump(value, file, indent=2)
            file.write('\n')


if __name__ == '__main__':
    main()
