"""Writes encodings.safetensors, torch.bin and torch_old.bin: matrices in every encoding with the values they stand for.

Run with torch (2.15 was used), numpy and safetensors installed: python make_weights.py
GPTQ is packed as AutoGPTQ's `QuantLinear.pack` does it and unpacked by GPTQModel's formula, AWQ as AutoAWQ's `WQLinear_GEMM.from_linear`.
"""
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
rng = np.random.default_rng(5)
torch.manual_seed(5)
tensors = {}


def as_int32(words):
    return torch.from_numpy(words.astype(np.uint32).view(np.int32).copy())


def autogptq_pack(codes, bits):
    """[n, columns] codes to [n * bits / 32, columns] words, as AutoGPTQ's loops do."""
    words = np.zeros((codes.shape[0] * bits // 32, codes.shape[1]), dtype=np.uint32)
    codes = codes.astype(np.uint32)
    i = row = 0
    while row < words.shape[0]:
        if bits in (2, 4, 8):
            for j in range(i, i + 32 // bits):
                words[row] |= codes[j] << (bits * (j - i))
            i += 32 // bits
            row += 1
        else:
            for j in range(i, i + 10):
                words[row] |= codes[j] << (3 * (j - i))
            i += 10
            words[row] |= codes[i] << 30
            row += 1
            words[row] |= (codes[i] >> 2) & 1
            i += 1
            for j in range(i, i + 10):
                words[row] |= codes[j] << (3 * (j - i) + 1)
            i += 10
            words[row] |= codes[i] << 31
            row += 1
            words[row] |= (codes[i] >> 1) & 0x3
            i += 1
            for j in range(i, i + 10):
                words[row] |= codes[j] << (3 * (j - i) + 2)
            i += 10
            row += 1
    return words


def gptq(name, bits, outs, ins, group, symmetric=False, act_order=False, version=1, scale_dtype=torch.float16):
    groups = -(-ins // group)
    codes = rng.integers(0, 2**bits, (ins, outs))
    zeros = np.full((groups, outs), 2 ** (bits - 1)) if symmetric else rng.integers(1, 2**bits, (groups, outs))
    scales = (torch.rand(groups, outs) * 0.01 + 0.001).to(scale_dtype)
    g_idx = np.arange(ins) // group
    if act_order:
        g_idx = rng.permutation(g_idx)
    tensors[f"{name}.qweight"] = as_int32(autogptq_pack(codes, bits))
    stored = zeros - 1 if version == 1 else zeros
    tensors[f"{name}.qzeros"] = as_int32(autogptq_pack(stored.T, bits).T)
    tensors[f"{name}.scales"] = scales
    tensors[f"{name}.g_idx"] = torch.from_numpy(g_idx.astype(np.int32))
    values = (codes - zeros[g_idx]) * scales.double().numpy()[g_idx]
    tensors[f"{name}.expected"] = torch.from_numpy(values.T.astype(np.float32).copy())


gptq("gptq2", 2, 32, 64, 32)
gptq("gptq3", 3, 32, 64, 32)
gptq("gptq4", 4, 32, 64, 16)
gptq("gptq8", 8, 32, 64, 32)
gptq("gptq_sym", 4, 40, 64, 64, symmetric=True)
gptq("gptq_act", 4, 32, 64, 16, act_order=True)
gptq("gptq_v2", 4, 32, 64, 32, version=2)
gptq("gptq_f32", 4, 32, 64, 32, scale_dtype=torch.float32)


def awq(name, outs, ins, group):
    groups = ins // group
    codes = rng.integers(0, 16, (ins, outs)).astype(np.uint32)
    zeros = rng.integers(0, 16, (groups, outs)).astype(np.uint32)
    scales = (torch.rand(groups, outs) * 0.01 + 0.001).half()

    def pack(rows):
        words = np.zeros((rows.shape[0], outs // 8), dtype=np.uint32)
        order = [0, 2, 4, 6, 1, 3, 5, 7]
        for column in range(outs // 8):
            for i in range(8):
                words[:, column] |= rows[:, column * 8 + order[i]] << (i * 4)
        return as_int32(words)

    tensors[f"{name}.qweight"], tensors[f"{name}.qzeros"], tensors[f"{name}.scales"] = pack(codes), pack(zeros), scales
    groups = np.arange(ins) // group
    values = (codes.astype(np.int64) - zeros[groups].astype(np.int64)) * scales.double().numpy()[groups]
    tensors[f"{name}.expected"] = torch.from_numpy(values.T.astype(np.float32).copy())


awq("awq", 24, 64, 32)

weight = torch.randn(40, 48).to(torch.float8_e4m3fn)
for name, key, scale in [
    ("fp8_tensor", "weight_scale", torch.tensor(0.25)),
    ("fp8_row", "weight_scale", torch.rand(40, 1).bfloat16()),
    ("fp8_block", "weight_scale_inv", torch.rand(3, 2)),
]:
    tensors[f"{name}.weight"], tensors[f"{name}.{key}"] = weight.clone(), scale
    wide = scale.float()
    if name == "fp8_block":  # blocks of 16 x 32
        wide = wide.repeat_interleave(16, 0)[:40].repeat_interleave(32, 1)[:, :48]
    tensors[f"{name}.expected"] = weight.float() * wide
tensors["fp8_row.input_scale"] = torch.tensor(1.0)

conv = torch.randn(48, 16).half()
tensors["conv.weight"], tensors["conv.expected"] = conv, conv.float().T.contiguous()
wide = torch.randn(8, 32)
tensors["wide.weight"], tensors["wide.expected"] = wide, wide.bfloat16().float()
experts = torch.randn(3, 4, 32)
tensors["experts"], tensors["experts.expected"] = experts, experts.reshape(12, 32).clone()
tensors["norm.weight"] = torch.tensor([1.0, 1.0 + 2.0**-10, -3.0])
save_file(tensors, HERE / "encodings.safetensors")

# What torch.save makes of it: parameters, views, shared and turned tensors, whole storages of which little is used.
base = torch.arange(24.0).reshape(4, 6)
state = {
    "f32": base,
    "turned": base.t(),
    "part": base[1:3, 2:5],
    "parameter": torch.nn.Parameter(torch.arange(6.0).reshape(2, 3).bfloat16()),
    "half": torch.arange(4.0).half(),
    "scalar": torch.tensor(7.0),
    "long": torch.arange(3),
    "fp8": torch.tensor([1.0, -0.5]).to(torch.float8_e4m3fn),
    "empty": torch.zeros(0, 4),
}
state["tied"] = state["f32"]
state["_metadata"] = {"version": 1}
torch.save(state, HERE / "torch.bin")
torch.save({"a": torch.ones(2)}, HERE / "torch_old.bin", _use_new_zipfile_serialization=False)
print({key: list(value.shape) for key, value in tensors.items() if "expected" in key}, file=sys.stderr)
