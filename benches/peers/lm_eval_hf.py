"""Times lm-evaluation-harness (Hugging Face backend) on one task from local files and prints one JSON object.

    python lm_eval_hf.py --model FOLDER --datasets FOLDER --task hellaswag|mmlu|gsm8k [--dtype float32|bfloat16]

The tasks are the harness's own; only `datasets.load_dataset` is answered from local JSON Lines, named as the flag
`--datasets` (or FAIRMARK_DATASETS) lays them out: hellaswag/validation.jsonl[.gz], mmlu/{test,dev}.jsonl[.gz] with a
`subject` in each row, gsm8k/{train,test}.jsonl[.gz]. One task a process, so that peak memory and start-up belong to it.

`load_s` is the construction of the model and its tokenizer, `score_s` the time inside loglikelihood and generate_until,
`process_s` the life of the process from its start, imports included; `peak_rss_mb` is the highest resident memory.
"""

import argparse
import gzip
import json
import os
import pathlib
import resource
import time

SIZES = {"hellaswag": 100, "mmlu": 50, "gsm8k": 20}
SHOTS = {"hellaswag": 0, "mmlu": 5, "gsm8k": 5}


def process_age():
    """Seconds since this process started, by the kernel's clock: imports and the interpreter count."""
    fields = pathlib.Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    uptime = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    return uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def rows(stem):
    for path in (stem.with_suffix(".jsonl"), stem.with_suffix(".jsonl.gz")):
        if path.exists():
            opener = gzip.open if path.suffix == ".gz" else open
            with opener(path, "rt", encoding="utf-8") as lines:
                return [json.loads(line) for line in lines]
    raise SystemExit(f"no {stem}.jsonl or {stem}.jsonl.gz")


def local_loader(root):
    """A stand-in for datasets.load_dataset that knows three data sets."""
    from datasets import Dataset, DatasetDict

    def load(path, name=None, **_):
        if path == "Rowan/hellaswag":
            parts = {"train": rows(root / "hellaswag/validation")[:5], "validation": rows(root / "hellaswag/validation")}
        elif path == "cais/mmlu":
            parts = {split: [row for row in rows(root / "mmlu" / split) if row["subject"] == name] for split in ("test", "dev")}
        elif path == "openai/gsm8k":
            parts = {split: rows(root / "gsm8k" / split) for split in ("train", "test")}
        else:
            raise SystemExit(f"no local files for {path}")
        return DatasetDict({split: Dataset.from_list(part) for split, part in parts.items()})

    return load


def timed(function, spent):
    def wrapper(*arguments, **named):
        start = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent.append(time.perf_counter() - start)

    return wrapper


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.environ.get("FAIRMARK_BENCH_MODEL"), help="or FAIRMARK_BENCH_MODEL")
    parser.add_argument("--datasets", type=pathlib.Path, default=os.environ.get("FAIRMARK_DATASETS"), help="or FAIRMARK_DATASETS")
    parser.add_argument("--task", choices=sorted(SIZES), required=True)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, help="torch threads (default: torch's own)")
    parser.add_argument("--limit", type=int, help="documents a task (default: hellaswag 100, mmlu 50 a subject, gsm8k 20)")
    parser.add_argument("--shots", type=int, help="examples in the prompt (default: hellaswag 0, mmlu 5, gsm8k 5)")
    parser.add_argument("--subjects", default="abstract_algebra,anatomy", help="of mmlu")
    parser.add_argument("--new-tokens", type=int, default=64, help="of gsm8k")
    options = parser.parse_args()
    if not options.model or not options.datasets:
        parser.error("--model and --datasets are required")
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

    import datasets
    import torch

    datasets.load_dataset = local_loader(pathlib.Path(options.datasets))
    datasets.disable_progress_bars()
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    if options.threads:
        torch.set_num_threads(options.threads)
    start = time.perf_counter()
    lm = HFLM(pretrained=options.model, dtype=options.dtype, batch_size=options.batch_size, device="cpu")
    load = time.perf_counter() - start
    spent = []
    lm.loglikelihood = timed(lm.loglikelihood, spent)
    lm.generate_until = timed(lm.generate_until, spent)
    tasks = [f"mmlu_{s}" for s in options.subjects.split(",")] if options.task == "mmlu" else [options.task]
    limit = SIZES[options.task] if options.limit is None else options.limit
    shots = SHOTS[options.task] if options.shots is None else options.shots
    outcome = simple_evaluate(
        lm, tasks=tasks, num_fewshot=shots, limit=limit, task_manager=TaskManager(), log_samples=False, bootstrap_iters=0,
        gen_kwargs={"max_gen_toks": options.new_tokens} if options.task == "gsm8k" else None)
    print(json.dumps({
        "peer": "lm-evaluation-harness", "task": options.task, "tasks": tasks, "documents": limit, "shots": shots,
        "dtype": options.dtype, "batch_size": options.batch_size, "threads": torch.get_num_threads(),
        "load_s": round(load, 2), "score_s": round(sum(spent), 2), "process_s": round(process_age(), 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "results": {task: {key: value for key, value in scores.items() if isinstance(value, float)}
                    for task, scores in outcome["results"].items()}}))


if __name__ == "__main__":
    main()
