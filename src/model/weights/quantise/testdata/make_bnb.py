"""Writes bnb.safetensors: matrices and what bitsandbytes makes of them on the CPU.

Run with torch, bitsandbytes (0.50.2 was used) and safetensors installed: python make_bnb.py
"""
import pathlib

import bitsandbytes.functional as F
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from safetensors.torch import save_file

torch.manual_seed(3)
tensors = {}
# Whole blocks in each row; blocks that run over the ends of rows; a last block that is not full, and odd rows.
for name, outs, ins, dtype in [("even", 24, 128, torch.float32), ("across", 12, 96, torch.bfloat16), ("rest", 9, 33, torch.float32)]:
    weight = (torch.randn(outs, ins) * 0.05).to(dtype)
    weight[0, :2] = 0.0
    if name == "even":
        weight[1] = 0.0
        weight[2, 5] = 3.0
    tensors[name] = weight
    codes, scales, _ = F.int8_vectorwise_quant(weight.to(torch.float16))
    tensors[f"{name}.int8"], tensors[f"{name}.int8.SCB"] = codes, scales
    for kind in ["nf4", "fp4"]:
        packed, state = F.quantize_4bit(weight, quant_type=kind)
        tensors[f"{name}.{kind}"], tensors[f"{name}.{kind}.absmax"] = packed.flatten(), state.absmax
        if kind == "nf4":
            # Not by the kernel for CPUs, which takes the scales of other blocks where blocks run over the ends of rows.
            values = _dequantize_4bit_compute(packed.flatten(), state.absmax, state.code, 64, weight.shape, dtype)
            tensors[f"{name}.values"] = values
        packed, state = F.quantize_4bit(weight, quant_type=kind, compress_statistics=True)
        tensors[f"{name}.{kind}-dq.absmax"] = state.absmax
        tensors[f"{name}.{kind}-dq.nested_absmax"] = state.state2.absmax
        tensors[f"{name}.{kind}-dq.offset"] = state.offset
        tensors["nested_quant_map"] = state.state2.code.clone()
        tensors[f"{kind}.quant_map"] = state.code.clone()
save_file(tensors, pathlib.Path(__file__).with_name("bnb.safetensors"))
