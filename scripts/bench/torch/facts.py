"""What PyTorch says about itself: python3 facts.py cpu|cuda prints one JSON object.

With MKL_VERBOSE=1 its output also has the line in which MKL names the instructions that it uses.
"""
import json
import sys

import safetensors.torch  # noqa: F401  the peers need it: better missed here
import torch

matrix = torch.ones(64, 64)
matrix @ matrix
lines = [line.strip(' -') for line in torch.__config__.show().splitlines()[1:]]
facts = {
    'torch': torch.__version__,
    'python': sys.version.split()[0],
    'threads': torch.get_num_threads(),
    'capability': torch.backends.cpu.get_cpu_capability(),
    'config': [line for line in lines if line and not line.startswith('Build settings')],
}
if sys.argv[1] == 'cuda':
    if not torch.cuda.is_available():
        sys.exit('torch.cuda.is_available() is False')
    facts |= {'gpu': torch.cuda.get_device_name(), 'cuda': torch.version.cuda, 'cudnn': torch.backends.cudnn.version()}
print(json.dumps(facts), flush=True)
