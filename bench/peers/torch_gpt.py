#!/usr/bin/env python3
"""The same model and training step in PyTorch, as a PyTorch user would write it for speed: torch.compile, its flash
attention, fused AdamW, fp32 weights under bf16 autocast. Prints one line of JSON.

Model: jvm-trainer/.../model/GptModel.java at the presets' settings. Pre-RMSNorm without gain, rotary positions over
interleaved pairs, LayerNorm with gain on queries and keys, SwiGLU, tied embedding, no bias. The step: forward and
backward of each micro-batch, clip of the global norm, AdamW with decay on every parameter. One random batch, a constant
learning rate, as `rheostat bench step` has them.

`--check` says whether PyTorch, a GPU and what torch.compile needs are here, and nothing else; exit code 1 with a reason
if not.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import sys
import sysconfig
import time

BLOCK_EPSILON = 1e-6  # of the norms inside blocks and of queries and keys
FINAL_EPSILON = 1e-5


def require_torch():
    try:
        import torch
    except ImportError as missing:
        sys.exit(f"python3 ({sys.executable}) has no PyTorch: {missing}")
    if not torch.cuda.is_available():
        sys.exit(f"PyTorch {torch.__version__} of {sys.executable} sees no GPU")
    return torch


def require_compiler():
    """Triton, which torch.compile's kernels are made by, builds its launchers with a C compiler and Python's headers."""
    if not any((os.environ.get("CC"), shutil.which("gcc"), shutil.which("clang"))):
        sys.exit("torch.compile needs a C compiler, and there is neither gcc nor clang nor a CC")
    header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
    if not os.path.exists(header):
        sys.exit(f"torch.compile needs Python's headers (python3-dev), and there is no {header}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    for name, default in (
        ("layers", 12), ("heads", 12), ("width", 768), ("mlp-width", 2048), ("vocabulary", 50257),
        ("padded-vocabulary", 50304), ("batch", 64), ("micro-batches", 1), ("seq", 1024), ("warm-up", 10), ("steps", 20),
    ):
        parser.add_argument("--" + name, type=int, default=default)
    for name, default in (("rotary-base", 1e4), ("learning-rate", 1e-3), ("weight-decay", 0.1), ("clip-norm", 1.0)):
        parser.add_argument("--" + name, type=float, default=default)
    parser.add_argument("--device", default="cuda")
    return parser.parse_args()


def make_model(torch, args, flowing):
    """A module from tokens and targets (B, T) to the mean loss in nats; `flowing` is the type of activations."""
    nn, functional = torch.nn, torch.nn.functional
    heads, width, head_width = args.heads, args.width, args.width // args.heads

    def weight(outputs, inputs):
        tensor = torch.empty(outputs, inputs)
        nn.init.trunc_normal_(tensor, std=1 / math.sqrt(inputs), a=-2 / math.sqrt(inputs), b=2 / math.sqrt(inputs))
        return nn.Parameter(tensor)

    def turn(x, cos, sin):
        """Rotates pair (2i, 2i + 1) of x (B, H, T, D) by its angle; cos and sin (T, D / 2)."""
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = weight(3 * width, width)
            self.q_gain = nn.Parameter(torch.ones(head_width))
            self.k_gain = nn.Parameter(torch.ones(head_width))
            self.out = weight(width, width)
            self.mlp_in = weight(2 * args.mlp_width, width)
            self.mlp_out = weight(width, args.mlp_width)

        def forward(self, x, cos, sin):
            batch, tokens, _ = x.shape
            qkv = functional.linear(functional.rms_norm(x, (width,), eps=BLOCK_EPSILON), self.qkv)
            q, k, v = (part.view(batch, tokens, heads, head_width).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
            q = turn(functional.layer_norm(q, (head_width,), self.q_gain, None, BLOCK_EPSILON), cos, sin).to(v.dtype)
            k = turn(functional.layer_norm(k, (head_width,), self.k_gain, None, BLOCK_EPSILON), cos, sin).to(v.dtype)
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + functional.linear(y.transpose(1, 2).reshape(batch, tokens, width), self.out)
            gate, up = functional.linear(functional.rms_norm(x, (width,), eps=BLOCK_EPSILON), self.mlp_in).chunk(2, dim=-1)
            return x + functional.linear(functional.silu(gate) * up, self.mlp_out)

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            table = torch.zeros(args.padded_vocabulary, width)
            nn.init.normal_(table[: args.vocabulary], std=1 / math.sqrt(width))
            self.table = nn.Parameter(table)  # the head as well; its padding rows take no probability below
            self.blocks = nn.ModuleList(Block() for _ in range(args.layers))
            pairs = torch.arange(head_width // 2, dtype=torch.float64)
            angles = torch.outer(
                torch.arange(args.seq, dtype=torch.float64), args.rotary_base ** (-2 * pairs / head_width)
            )
            self.register_buffer("cos", angles.cos().float(), persistent=False)
            self.register_buffer("sin", angles.sin().float(), persistent=False)

        def forward(self, tokens, targets):
            x = functional.embedding(tokens, self.table).to(flowing)
            for block in self.blocks:
                x = block(x, self.cos, self.sin)
            logits = functional.linear(functional.rms_norm(x, (width,), eps=FINAL_EPSILON), self.table)
            logits = logits[..., : args.vocabulary].flatten(0, 1)
            wide = torch.promote_types(flowing, torch.float32)
            return functional.cross_entropy(logits.to(wide), targets.flatten())

    return Gpt()


def make_optimizer(torch, args, parameters, fused):
    return torch.optim.AdamW(
        parameters, lr=args.learning_rate, betas=(0.9, 0.95), eps=1e-8, weight_decay=args.weight_decay, fused=fused
    )


def make_step(torch, args, model, parameters, optimizer, batch, autocast):
    """A function that makes one update from the batch (B, T + 1). Each call returns the mean loss before it, on the device: the
    host does not wait."""
    parts = [(part[:, :-1].contiguous(), part[:, 1:].contiguous()) for part in batch.chunk(args.micro_batches)]

    def step():
        total = torch.zeros((), device=batch.device)
        for tokens, targets in parts:
            with autocast():
                loss = model(tokens, targets) / args.micro_batches
            loss.backward()
            total = total + loss.detach()
        if args.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(parameters, args.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total

    return step


def run(torch, args):
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    torch.cuda.set_device(args.device if ":" in args.device else args.device + ":0")
    model = make_model(torch, args, torch.bfloat16).cuda()
    parameters = list(model.parameters())
    optimizer = make_optimizer(torch, args, parameters, fused=True)
    batch = torch.randint(args.vocabulary, (args.batch, args.seq + 1), device="cuda")
    compiled = torch.compile(model)

    def autocast():
        return torch.autocast("cuda", dtype=torch.bfloat16)

    step = make_step(torch, args, compiled, parameters, optimizer, batch, autocast)
    first = step().item()
    for _ in range(args.warm_up - 1):
        step()
    # Steps follow one another on the device as ours do: nothing waits but the events.
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(args.steps + 1)]
    torch.cuda.synchronize()
    start = time.perf_counter()
    marks[0].record()
    for mark in marks[1:]:
        last = step()
        mark.record()
    torch.cuda.synchronize()
    mean_seconds = (time.perf_counter() - start) / args.steps
    seconds = statistics.median(a.elapsed_time(b) for a, b in zip(marks, marks[1:])) * 1e-3
    last = last.item()
    if not last < first:
        sys.exit(f"the loss went from {first} to {last} nats: not measured")
    return {
        "peer": "torch",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "device": torch.cuda.get_device_name(),
        "precision": "fp32 weights, bf16 autocast",
        "parameters": sum(p.numel() for p in parameters),
        "tokens_per_second": args.batch * args.seq / seconds,
        "seconds_per_step": seconds,
        "mean_seconds_per_step": mean_seconds,
        "memory_bytes": torch.cuda.max_memory_allocated(),
        "loss_first": first,
        "loss_last": last,
    }


def main():
    args = parse()
    torch = require_torch()
    require_compiler()
    print(torch.__version__ if args.check else json.dumps(run(torch, args)))


if __name__ == "__main__":
    main()
