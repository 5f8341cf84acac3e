"""Resident memory of a training step in PyTorch: python3 memory.py SETTINGS STEPS, settings as peer.py takes them.

Prints {"baseline", "peak"} in bytes. The baseline is taken after a small forward and backward pass, which loads the
libraries that every model needs.
"""
import gc
import json
import sys

import torch
import torch.nn.functional as F
from training import Training


def read_status(key):
    with open('/proc/self/status', encoding='ascii') as file:
        return 1024 * int(next(line for line in file if line.startswith(f'{key}:')).split()[1])


def warm_up():
    weight = torch.ones(64, 64, requires_grad=True)
    x = F.layer_norm(F.gelu(weight @ weight), (64,))[None]
    x = F.scaled_dot_product_attention(x, x, x)[0]
    F.cross_entropy(x, torch.zeros(64, dtype=torch.long)).backward()
    torch.optim.AdamW([weight], fused=True).step()


def main():
    settings = json.loads(sys.argv[1])
    warm_up()
    gc.collect()
    with open('/proc/self/clear_refs', 'w', encoding='ascii') as file:
        file.write('5')  # the peak so far is forgotten
    baseline = read_status('VmRSS')
    training = Training(**settings)
    for _ in range(int(sys.argv[2])):
        training.step().item()
    print(json.dumps({'baseline': baseline, 'peak': read_status('VmHWM')}))


main()
