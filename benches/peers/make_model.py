"""Writes the benchmark model: a random-weight Llama of 135M shape, in every form that the peers read.

    python make_model.py --tokenizer FOLDER --out FOLDER

FOLDER/tokenizer.json must be a byte-level BPE whose ids are the 256 bytes and then one per merge, in order (GPT-2's is).
It is cut to 49,151 entries and an end-of-text token, so that every id lies within the vocabulary.

    OUT/f32, OUT/bf16              config.json, model.safetensors, tokenizer.json, tokenizer_config.json
    OUT/{f32,bf16,q8_0,q4_0}.gguf  the same weights for llama.cpp (q4_0 keeps the tied embedding in q8_0)

The weights are random but not degenerate: linear layers keep the scale of their input, logits spread by about two units.
They serve timings; the scores mean nothing.
"""

import argparse
import json
import pathlib

import gguf
import numpy
import torch
from gguf import GGMLQuantizationType as Kind
from transformers import LlamaConfig, LlamaForCausalLM

VOCAB = 49152
END = "<|endoftext|>"
LAYERS, HEADS, KV_HEADS, HIDDEN, MLP, WINDOW = 30, 9, 3, 576, 1536, 2048


def cut_tokenizer(path):
    """The first 49,151 entries of a byte-level BPE, and the end-of-text token behind them."""
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    model = tokenizer["model"]
    keep = VOCAB - 1
    vocabulary = {token: i for token, i in model["vocab"].items() if i < keep and token != END}
    assert sorted(vocabulary.values()) == list(range(keep)), "ids must be 0..n without gaps"
    pairs = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    model["merges"] = [list(p) for p in pairs if vocabulary.get("".join(p), keep) < keep]
    assert len(model["merges"]) == keep - 256, len(model["merges"])
    vocabulary[END] = keep
    model["vocab"] = vocabulary
    end = dict(id=keep, content=END, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    tokenizer["added_tokens"] = [end]
    return tokenizer


def build():
    torch.manual_seed(135)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=MLP, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS, max_position_embeddings=WINDOW, tie_word_embeddings=True, rms_norm_eps=1e-5,
        bos_token_id=VOCAB - 1, eos_token_id=VOCAB - 1))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.normal_(1.0, 0.1)
            elif "embed" in name:
                parameter.normal_(std=0.08)
            else:
                parameter.normal_(std=parameter.shape[1] ** -0.5)
    return model


def paired_rows(weight, heads):
    """llama.cpp rotates neighbouring rows (2i, 2i+1), transformers the two halves (i, i + D/2)."""
    outs, ins = weight.shape
    return weight.reshape(heads, 2, outs // heads // 2, ins).swapaxes(1, 2).reshape(outs, ins)


NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    if name.startswith("model.layers."):
        _, _, layer, rest = name.removesuffix(".weight").split(".", 3)
        return f"blk.{layer}.{NAMES[rest]}.weight"
    return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}[name]


def write_gguf(path, model, tokenizer, kind, file_type):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random-135m")
    writer.add_context_length(WINDOW)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(VOCAB)
    writer.add_file_type(file_type)
    tokens = sorted(tokenizer["model"]["vocab"].items(), key=lambda entry: entry[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in tokens])
    writer.add_token_types([gguf.TokenType.NORMAL] * (VOCAB - 1) + [gguf.TokenType.CONTROL])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(VOCAB - 1)
    writer.add_eos_token_id(VOCAB - 1)
    writer.add_add_bos_token(False)
    for name, parameter in model.named_parameters():
        values = parameter.detach().float().numpy()
        if "q_proj" in name or "k_proj" in name:
            values = paired_rows(values, HEADS if "q_proj" in name else KV_HEADS)
        own = Kind.F32 if values.ndim == 1 else Kind.Q8_0 if "embed" in name and kind == Kind.Q4_0 else kind
        values = numpy.ascontiguousarray(values)
        writer.add_tensor(gguf_name(name), gguf.quants.quantize(values, own), raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    tokenizer = cut_tokenizer(options.tokenizer / "tokenizer.json")
    settings = dict(tokenizer_class="PreTrainedTokenizerFast", bos_token=END, eos_token=END, model_max_length=WINDOW,
                    clean_up_tokenization_spaces=False)
    model = build()
    options.out.mkdir(parents=True, exist_ok=True)
    types = gguf.LlamaFileType
    for kind, file_type in [(Kind.F32, types.ALL_F32), (Kind.BF16, types.MOSTLY_BF16), (Kind.Q8_0, types.MOSTLY_Q8_0),
                            (Kind.Q4_0, types.MOSTLY_Q4_0)]:
        write_gguf(options.out / f"{kind.name.lower()}.gguf", model, tokenizer, kind, file_type)
    # The bf16 copy last: the conversion is in place.
    for name, dtype in [("f32", torch.float32), ("bf16", torch.bfloat16)]:
        folder = options.out / name
        model.to(dtype).save_pretrained(folder)
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    main()
