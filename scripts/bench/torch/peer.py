"""PyTorch's side of the comparison, as a process of its own: python3 peer.py SETTINGS

SETTINGS is JSON: {folder, device, recipe, execution, head, dtype, attention}; the folder holds a checkpoint and
batches.safetensors. The first line of output says what runs. Each line of input, {"command": name, ...}, is answered by
one line of JSON.
"""
import json
import math
import sys
import time

import torch
from training import Training

AHEAD = 4  # steps that the host may be ahead of the device


def train_on_host(training, steps, least, seconds, **_):
    """Repeats steps up to `steps` times, at least `least` times, and not again once the seconds are over."""
    losses, milliseconds = [], []
    end = time.perf_counter() + seconds
    while not losses or (len(losses) < steps and (len(losses) < least or time.perf_counter() < end)):
        begin = time.perf_counter()
        losses.append(training.step().item())
        milliseconds.append((time.perf_counter() - begin) * 1e3)
    return {'losses': finite(losses), 'milliseconds': milliseconds}


def train_on_device(training, steps, least, seconds, untimed):
    """The same, timed by the device's own clock and without waiting for any loss; `untimed` steps come before."""
    for _ in range(untimed):
        training.step()
    torch.cuda.synchronize()
    losses, marks = [], [record_mark()]
    end = time.perf_counter() + seconds
    while not losses or (len(losses) < steps and (len(losses) < least or time.perf_counter() < end)):
        losses.append(training.step())
        marks.append(record_mark())
        if len(marks) > AHEAD:
            marks[-AHEAD].synchronize()
    torch.cuda.synchronize()
    milliseconds = [before.elapsed_time(after) for before, after in zip(marks, marks[1:])]
    answer = {'losses': finite(torch.stack(losses).tolist()), 'milliseconds': milliseconds}
    give_back(training)
    return answer


def give_back(training):
    """The memory that no step is using, which the next process needs; a graph keeps its own."""
    if training.execution != 'cudagraphs':
        torch.cuda.empty_cache()


def finite(losses):
    return [loss if math.isfinite(loss) else None for loss in losses]  # JSON has no NaN


def record_mark():
    mark = torch.cuda.Event(enable_timing=True)
    mark.record()
    return mark


def attention_kernels(training):
    """Names of the device kernels of one step that compute attention."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        training.step()
        torch.cuda.synchronize()
    give_back(training)
    words = ('flash', 'fmha', 'cudnn', 'sdpa', 'attention')
    return sorted({event.key for event in profile.key_averages() if any(word in event.key.lower() for word in words)})


def describe(settings):
    facts = {'threads': torch.get_num_threads()}
    if settings['execution'] != 'eager' and settings['device'] == 'cpu':
        from torch._inductor.cpu_vec_isa import pick_vec_isa
        facts['compiledFor'] = str(pick_vec_isa())
    return facts


def main():
    settings = json.loads(sys.argv[1])
    torch.set_float32_matmul_precision('highest')  # no TF32: float32 means float32 on both sides
    training = Training(**settings)
    train = train_on_device if settings['device'] == 'cuda' else train_on_host
    commands = {
        'train': lambda **options: train(training, **options),
        'attention': lambda: {'kernels': attention_kernels(training)},
    }
    print(json.dumps(describe(settings)), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(commands[request.pop('command')](**request)), flush=True)


main()
