"""Times llama.cpp on one GGUF file and prints one JSON object: tokens/s of 512-token prompts, and of decoding.

    python llama_cpp_speed.py MODEL.gguf [--threads 2] [--repeats 5] [--decode 64]

Prompts are random ids in one batch of 512, logits of the last position only, the cache emptied in between; the first
(warm-up) prompt is not counted. Decoding continues from a short prompt, one greedy token at a time. The median of the
repeats is what counts, best and worst are printed to show the noise.
"""

import argparse
import json
import random
import resource
import statistics
import time

import llama_cpp


def rates(times, tokens):
    return {"median": round(tokens / statistics.median(times), 1), "best": round(tokens / min(times), 1),
            "worst": round(tokens / max(times), 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    start = time.perf_counter()
    llm = llama_cpp.Llama(options.model, n_ctx=options.prompt + options.decode + 8, n_batch=options.prompt,
                          n_ubatch=options.prompt, n_threads=options.threads, n_threads_batch=options.threads,
                          logits_all=False, verbose=False)
    load = time.perf_counter() - start
    choose = random.Random(0)
    prompts, decodes = [], []
    for _ in range(options.repeats + 1):
        ids = [choose.randrange(llm.n_vocab()) for _ in range(options.prompt)]
        llm.reset()
        start = time.perf_counter()
        llm.eval(ids)
        prompts.append(time.perf_counter() - start)
    for _ in range(options.repeats + 1):
        llm.reset()
        llm.eval(ids[:8])
        start = time.perf_counter()
        for _ in range(options.decode):
            llm.eval([llm.sample(temp=0.0)])
        decodes.append(time.perf_counter() - start)
    n_vocab = llm.n_vocab()
    llm.close()
    print(json.dumps({
        "peer": "llama.cpp", "binding": llama_cpp.__version__, "model": options.model.rsplit("/", 1)[-1],
        "threads": options.threads, "vocabulary": n_vocab, "load_s": round(load, 2), "prompt_tokens": options.prompt,
        "prompt_tokens_per_s": rates(prompts[1:], options.prompt), "decode_tokens_per_s": rates(decodes[1:], options.decode),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}))


if __name__ == "__main__":
    main()
