"""The transformer that a checkpoint's config.json describes: GPT-2's architecture or dllm-native's own."""
import json
import os
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file

QUERY_KEY_EPS = 2.0**-23  # not in config.json


class Config(NamedTuple):
    layers: int
    heads: int
    width: int
    mlp_width: int
    vocab_size: int
    context: int
    eps: float
    rotary_theta: float | None  # None: layer norm and learned positions; else RMS norm and normalised queries and keys


def read_config(folder):
    with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
        json_config = json.load(file)
    if 'dllm_native' in json_config:
        raise ValueError(f'config.json departs from its family: {json_config["dllm_native"]}')
    read = {'gpt2': read_gpt2, 'dllm_native': read_own}.get(json_config['model_type'])
    if read is None or not json_config['tie_word_embeddings']:
        raise ValueError(f'config.json: {json_config["model_type"]} without a tied head is not supported')
    return read(json_config)


def read_gpt2(c):
    return Config(c['n_layer'], c['n_head'], c['n_embd'], c['n_inner'], c['vocab_size'], c['n_positions'],
                  c['layer_norm_epsilon'], None)


def read_own(c):
    if c['num_key_value_heads'] != c['num_attention_heads'] or c['hidden_act'] != 'gelu_pytorch_tanh':
        raise ValueError('config.json: grouped queries or a gated MLP are not supported')
    return Config(c['num_hidden_layers'], c['num_attention_heads'], c['hidden_size'], c['intermediate_size'],
                  c['vocab_size'], c['max_position_embeddings'], c['rms_norm_eps'], c['rope_theta'])


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads, self.rotates = config.heads, config.rotary_theta is not None
        norm = nn.RMSNorm if self.rotates else nn.LayerNorm
        self.attention_norm, self.mlp_norm = norm(config.width, config.eps), norm(config.width, config.eps)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.attention_output = nn.Linear(config.width, config.width)
        self.up = nn.Linear(config.width, config.mlp_width)
        self.down = nn.Linear(config.mlp_width, config.width)

    def attention(self, x, cosines, sines):
        # three of [B, H, T, D], views of one product
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        if self.rotates:
            q, k = (rotate(F.rms_norm(y, y.shape[-1:], eps=QUERY_KEY_EPS), cosines, sines).to(v.dtype) for y in (q, k))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.attention_output(y.transpose(1, 2).flatten(2))

    def forward(self, x, cosines, sines):
        x = x + self.attention(self.attention_norm(x), cosines, sines)
        return x + self.down(F.gelu(self.up(self.mlp_norm(x)), approximate='tanh'))


def rotate(x, cosines, sines):
    """Rotary embedding, half-split convention. x [B, H, T, D], cosines and sines [T, D / 2]."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cosines - b * sines, b * cosines + a * sines], -1)


class Transformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.width)
        self.positions = None if config.rotary_theta else nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = (nn.RMSNorm if config.rotary_theta else nn.LayerNorm)(config.width, config.eps)
        half = config.width // config.heads // 2
        frequencies = (config.rotary_theta or 1.0) ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(config.context)[:, None] * frequencies
        self.register_buffer('cosines', angles.cos().float(), persistent=False)
        self.register_buffer('sines', angles.sin().float(), persistent=False)

    def hidden(self, tokens):
        """What the head reads, [B, T, C]."""
        length = tokens.shape[1]
        x = self.tokens(tokens)
        if self.positions is not None:
            x = x + self.positions.weight[:length]
        for block in self.blocks:
            x = block(x, self.cosines[:length], self.sines[:length])
        return self.norm(x)

    def head(self, hidden):
        return F.linear(hidden, self.tokens.weight)


def load_model(folder):
    """The model of a checkpoint folder, in float32 on the CPU."""
    config = read_config(folder)
    weights = load_file(os.path.join(folder, 'model.safetensors'))
    model = Transformer(config)
    model.load_state_dict(gpt2_state(weights) if config.rotary_theta is None else own_state(weights))
    return model


GPT2_NAMES = {'wte': 'tokens', 'wpe': 'positions', 'ln_f': 'norm', 'h': 'blocks', 'ln_1': 'attention_norm',
              'ln_2': 'mlp_norm', 'attn.c_attn': 'qkv', 'attn.c_proj': 'attention_output', 'mlp.c_fc': 'up',
              'mlp.c_proj': 'down'}
OWN_NAMES = {'model.embed_tokens': 'tokens', 'model.norm': 'norm', 'model.layers': 'blocks',
             'input_layernorm': 'attention_norm', 'post_attention_layernorm': 'mlp_norm', 'self_attn.q_proj': 'qkv',
             'self_attn.o_proj': 'attention_output', 'mlp.up_proj': 'up', 'mlp.down_proj': 'down'}


def gpt2_state(weights):
    """The model's state from GPT-2's tensors, whose linear layers are stored [in, out]."""
    return {renamed(name, GPT2_NAMES): value.T if '.c_' in name and value.dim() == 2 else value
            for name, value in weights.items()}


def own_state(weights):
    """The model's state from dllm-native's tensors, which have query, key and value apart."""
    state = {}
    for name, value in weights.items():
        if '.q_proj.' in name:
            value = torch.cat([value] + [weights[name.replace('q_proj', part)] for part in ('k_proj', 'v_proj')])
        if '.k_proj.' not in name and '.v_proj.' not in name:
            state[renamed(name, OWN_NAMES)] = value
    return state


def renamed(name, names):
    """A parameter's name with each whole part that `names` knows replaced."""
    name = f'.{name}.'
    for old, new in names.items():
        name = name.replace(f'.{old}.', f'.{new}.')
    return name.strip('.')
