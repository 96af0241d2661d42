"""Random blocks of every quantised type with the values that llama.cpp's Python package gives them.

Made with gguf 0.19.0: python make_blocks.py blocks.bin
Layout, little-endian, type after type: id u32, rows u32, inputs of a row u32, bytes u32, the blocks, the values as f32.
Q8_1 and Q8_K, which the package does not dequantise, follow `d * q` of ggml-quants.c (the package's size of Q8_1 is an old one).
"""
import struct
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q8_1: [0, 2],
          T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.Q8_K: []}

random = np.random.default_rng(20261124)
with open(sys.argv[1], "wb") as out:
    for kind, halves in HALVES.items():
        inputs, size = GGML_QUANT_SIZES[kind]
        size = 36 if kind == T.Q8_1 else size
        rows, blocks = 2, 1 if inputs == 256 else 3
        data = random.integers(0, 256, (rows * blocks, size), dtype=np.uint8)
        for at in halves:
            scales = (random.standard_normal(rows * blocks) * 0.02).astype(np.float16)
            data[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
        if kind == T.Q8_K:
            scales = (random.standard_normal(rows * blocks) * 0.02).astype(np.float32)
            data[:, :4] = scales.view(np.uint8).reshape(-1, 4)
        if kind in (T.Q8_1, T.Q8_K):
            at, half = (4, np.float16) if kind == T.Q8_1 else (4, np.float32)
            d = data[:, :half().itemsize].copy().view(half).astype(np.float32)
            values = d * data[:, at:at + inputs].copy().view(np.int8).astype(np.float32)
        else:
            values = dequantize(data.reshape(rows, -1), kind)
        out.write(struct.pack("<IIII", kind, rows, blocks * inputs, data.size))
        out.write(data.tobytes())
        out.write(values.astype("<f4").tobytes())
