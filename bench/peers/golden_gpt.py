#!/usr/bin/env python3
"""What PyTorch's autograd and AdamW make of a small model on the CPU, in f64: losses of three steps, gradients of the first,
weights after the last. Writes the file that TorchGoldenTest holds ours against; the model and the step are torch_gpt.py's, so
the test also says that the peer trains the same model.

    python3 bench/peers/golden_gpt.py > jvm-trainer/src/test/resources/dev/rheostat/train/torch-golden.json

Weights and tokens are functions of their index, the same here and in the test. Of a gradient or a weight its norm and its
products with two such vectors are written.
"""

import argparse
import contextlib
import inspect
import json

import torch
import torch_gpt

ARGS = argparse.Namespace(
    layers=2, heads=2, width=16, mlp_width=48, vocabulary=11, padded_vocabulary=128, batch=4, micro_batches=2, seq=12,
    rotary_base=1e4, learning_rate=2**-7, weight_decay=0.125, clip_norm=0.25,
)
STEPS = 3
OURS = {
    "table": "embedding.weight", "qkv": "attention.qkv.weight", "q_gain": "attention.qNorm.gain",
    "k_gain": "attention.kNorm.gain", "out": "attention.out.weight", "mlp_in": "mlp.in.weight", "mlp_out": "mlp.out.weight",
}


def stand_in():
    """Formulas of what an older PyTorch lacks: attention came with 2.0, RMSNorm with 2.4, the fused AdamW with 2.0."""
    functional = torch.nn.functional

    def rms_norm(x, shape, eps):
        assert shape == x.shape[-1:]
        return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt()

    def attention(q, k, v, is_causal):
        assert is_causal
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        return scores.masked_fill(later, float("-inf")).softmax(-1) @ v

    if not hasattr(functional, "rms_norm"):
        functional.rms_norm = rms_norm
    if not hasattr(functional, "scaled_dot_product_attention"):
        functional.scaled_dot_product_attention = attention
    if "fused" not in inspect.signature(torch.optim.AdamW.__init__).parameters:
        plain = torch.optim.AdamW
        torch.optim.AdamW = lambda parameters, fused, **settings: plain(parameters, **settings)


def drawn(stream, count):
    """20 bits each, of a multiplicative hash of (stream, index)."""
    return [((i * 2654435761 + stream * 2246822519) % 2**32) >> 12 for i in range(count)]


def centred(stream, count):
    """In [-1/2, 1/2), exact in f32."""
    return torch.tensor([value / 2**20 - 0.5 for value in drawn(stream, count)], dtype=torch.float64)


def our_name(name):
    parts = name.split(".")
    return OURS[parts[0]] if len(parts) == 1 else f"layers.{parts[1]}.{OURS[parts[2]]}"


def measures(values):
    flat = values.detach().flatten()
    return [flat.norm().item(), (flat * centred(101, len(flat))).sum().item(), (flat * centred(102, len(flat))).sum().item()]


def main():
    stand_in()
    model = torch_gpt.make_model(torch, ARGS, torch.float64).double()
    named = {our_name(name): parameter for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for stream, name in enumerate(sorted(named)):
            parameter = named[name]
            values = centred(stream, parameter.numel()).reshape(parameter.shape)
            parameter.copy_(1 + values / 2 if name.endswith("gain") else values)
        named["embedding.weight"][ARGS.vocabulary :] = 0
    tokens = [value % ARGS.vocabulary for value in drawn(100, ARGS.batch * (ARGS.seq + 1))]
    batch = torch.tensor(tokens).reshape(ARGS.batch, ARGS.seq + 1)
    parameters = list(model.parameters())
    optimizer = torch_gpt.make_optimizer(torch, ARGS, parameters, fused=False)
    gradients = {}

    clip = torch.nn.utils.clip_grad_norm_

    def watched_clip(*arguments):  # the step's gradients are whole here, and not clipped yet
        if not gradients:
            gradients.update({name: measures(parameter.grad) for name, parameter in named.items()})
        return clip(*arguments)

    torch.nn.utils.clip_grad_norm_ = watched_clip
    step = torch_gpt.make_step(torch, ARGS, model, parameters, optimizer, batch, contextlib.nullcontext)
    losses = [step().item() for _ in range(STEPS)]
    print(json.dumps({
        "torch": torch.__version__,
        "losses": losses,
        "gradients": gradients,
        "weights": {name: measures(parameter) for name, parameter in named.items()},
    }, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
