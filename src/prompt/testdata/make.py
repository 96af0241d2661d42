"""Makes tasks.json.gz: what lm-evaluation-harness 0.4.13 asks for small tasks in every form of prompt.

Run with a Python that has lm_eval: python make.py. A chat template that prints the conversation as JSON stands in for a model's.
"""

import gzip
import json
import logging
from pathlib import Path

import datasets
from lm_eval.api.task import ConfigurableTask

logging.disable(logging.WARNING)

TRAIN = [
    {"q": f"train question {i}?", "opts": ["red", "green", "it's blue"], "label": i % 3, "ans": f"answer {i}", "alts": [f"a{i}", f"b{i}"],
     "pre": f"pre{i}", "flag": i % 2 == 0, "word": ["red", "green", "it's blue"][i % 3], "score": i / 4, "hint": "hint\n" if i % 2 else "hint"}
    for i in range(30)
]
TEST = [
    {"q": f"test question {i}?", "opts": ["red", "green", "it's blue"], "label": (i + 1) % 3, "ans": f"gold {i}", "alts": [f"x{i}", f"y{i}"],
     "pre": f"tpre{i}", "flag": i % 2 == 1, "word": ["red", "green", "it's blue"][i % 3], "score": i * 2.5, "hint": "hint\n" if i % 2 else "hint"}
    for i in range(8)
]
FILL = [
    {"sentence": f"The _ saw {i} trees.", "option1": f"cat {i}", "option2": f"dog {i}", "answer": str(i % 2 + 1)} for i in range(9)
]
TWICE = TEST[:4] + TEST[:4] + TEST[:3]

ACC = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
EM = [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}]
PPL = [{"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False}]
WORD = [{"metric": "word_perplexity", "aggregation": "weighted_perplexity", "higher_is_better": False}]
MC = {"output_type": "multiple_choice", "metric_list": ACC, "doc_to_text": "Q: {{q}}\nA:", "doc_to_choice": "opts", "doc_to_target": "label"}
GEN = {"output_type": "generate_until", "metric_list": EM, "doc_to_text": "Q: {{q}}\nA:", "doc_to_target": "{{ans}}",
       "generation_kwargs": {"until": ["\n"], "do_sample": False, "temperature": 0.0}}
SPLITS = {"training_split": "train", "test_split": "test", "fewshot_split": "train"}
DATA = {"train": TRAIN, "test": TEST}
FILL_TASK = {
    "output_type": "multiple_choice", "metric_list": ACC, "doc_to_text": "{{ answer | int - 1 }}", "doc_to_target": "{{ sentence.split('_')[1].strip() }}",
    "doc_to_choice": "{{ [sentence.split('_')[0] + option1, sentence.split('_')[0] + option2] }}",
}

# name, data, configuration
TASKS = [
    ("choices", DATA, {**MC, **SPLITS, "description": "About {{hint}}"}),
    ("choices_no_blank", DATA, {**MC, **SPLITS, "target_delimiter": "", "fewshot_delimiter": "\n", "description": "Desc.\n\n"}),
    ("choices_prefix", DATA, {**MC, **SPLITS, "gen_prefix": "The answer is"}),
    ("choices_prefix_blank", DATA, {**MC, **SPLITS, "gen_prefix": "The answer is "}),
    ("choices_prefix_column", DATA, {**MC, **SPLITS, "gen_prefix": "pre", "doc_to_text": "q"}),
    ("choices_literal", DATA, {**MC, **SPLITS, "doc_to_choice": "{{ [word, \"it's\", 'b\"'] }}", "doc_to_target": "{{ 0 }}"}),
    ("choices_list", DATA, {**MC, **SPLITS, "doc_to_choice": ["A", "B", "C"], "doc_to_target": "{{ 'ABC'[label] }}"}),
    ("choices_text_target", DATA, {**MC, **SPLITS, "doc_to_target": "word"}),
    ("choices_flag", DATA, {**MC, **SPLITS, "doc_to_choice": ["no", "yes"], "doc_to_target": "flag"}),
    ("choices_many_right", DATA, {**MC, **SPLITS, "doc_to_target": "{{ [label, 0] }}", "doc_to_choice": ["A", "B", "C"]}, 0),
    ("choices_mutual_information", DATA, {**MC, **SPLITS, "metric_list": ACC + [{"metric": "acc_mutual_info", "aggregation": "mean", "higher_is_better": True}]}),
    ("choices_same_split", {"validation": TEST}, {**MC, "validation_split": "validation"}),
    ("choices_test_as_pool", {"test": TEST}, {**MC, "test_split": "test", "fewshot_split": "test"}),
    ("choices_twice_in_pool", {"test": TWICE}, {**MC, "test_split": "test", "fewshot_split": "test"}),
    ("choices_validation_as_pool", {"validation": TRAIN[:12], "test": TEST}, {**MC, "validation_split": "validation", "test_split": "test"}),
    ("choices_first", DATA, {**MC, **SPLITS, "fewshot_config": {"sampler": "first_n"}}),
    ("choices_first_same", {"test": TWICE}, {**MC, "test_split": "test", "fewshot_split": "test", "fewshot_config": {"sampler": "first_n"}}),
    ("fill", {"train": FILL, "validation": FILL[:4]}, {**FILL_TASK, "training_split": "train", "validation_split": "validation"}),
    ("fill_prefix", {"train": FILL, "test": FILL[:4]}, {**FILL_TASK, "training_split": "train", "test_split": "test", "fewshot_split": "train", "gen_prefix": "So:", "description": "Fill in."}),
    ("generate", DATA, {**GEN, **SPLITS, "description": "Answer."}),
    ("generate_prefix", DATA, {**GEN, **SPLITS, "gen_prefix": "Let {{pre}}"}),
    ("generate_prefix_blank", DATA, {**GEN, **SPLITS, "gen_prefix": "Let ", "doc_to_text": "{{q}}\n"}),
    ("generate_lists", DATA, {**GEN, **SPLITS, "doc_to_target": "alts"}),
    ("generate_literal_list", DATA, {**GEN, **SPLITS, "doc_to_target": "{{ alts }}", "target_delimiter": ""}),
    ("generate_bracket_text", DATA, {**GEN, **SPLITS, "doc_to_target": "[{{ans}}]"}),
    ("generate_number", DATA, {**GEN, **SPLITS, "doc_to_target": "{{label}}"}),
    ("generate_choice", DATA, {**GEN, **SPLITS, "doc_to_target": "{{label}}", "doc_to_choice": ["A", "B", "C"]}),
    ("generate_empty_target", DATA, {**GEN, **SPLITS, "doc_to_target": ""}),
    ("generate_empty_target_prefix", DATA, {**GEN, **SPLITS, "doc_to_target": "", "gen_prefix": "P"}),
    ("generate_float_column", DATA, {**GEN, **SPLITS, "doc_to_target": "score"}, 0),
    ("generate_samples", DATA, {**GEN, "test_split": "test", "fewshot_config": {"sampler": "first_n", "samples": TRAIN[:6]}}),
    ("generate_samples_default", DATA, {**GEN, "test_split": "test", "fewshot_config": {"samples": TRAIN[:6]}}),
    ("generate_own_shots", DATA, {**GEN, **SPLITS, "gen_prefix": "P", "fewshot_config": {
        "doc_to_text": "Shot {{q}}", "doc_to_target": "{{ans | upper}}", "target_delimiter": " => ", "fewshot_delimiter": "\n##\n", "gen_prefix": "S"}}),
    ("choices_own_shots", DATA, {**MC, **SPLITS, "fewshot_config": {"doc_to_choice": ["x", "y", "z"], "doc_to_text": "q", "doc_to_target": "{{ label }}"}}),
    ("text", DATA, {"output_type": "loglikelihood", "metric_list": PPL, **SPLITS, "doc_to_text": "{{q}}", "doc_to_target": " {{ans}}"}),
    ("rolling", DATA, {"output_type": "loglikelihood_rolling", "metric_list": WORD, "test_split": "test", "doc_to_text": "", "doc_to_target": "{{q}} {{ans}}"}, 0),
]

FORMS = [(chat, multiturn, system) for chat, multiturn in ((False, False), (True, True), (True, False)) for system in (None, "You are kind.")]


def template(messages, add_generation_prompt=True):
    return json.dumps([messages, add_generation_prompt], ensure_ascii=False)


def answers(name, data, config, most_shots=3):
    def dataset(**_):
        return {split: datasets.Dataset.from_list(rows) for split, rows in data.items()}

    task = ConfigurableTask(config={"task": name, "custom_dataset": dataset, **json.loads(json.dumps(config))})
    runs = []
    for shots in sorted({0, min(2, most_shots), most_shots}):
        for chat, multiturn, system in FORMS:
            task.set_config("num_fewshot", shots)
            task.set_fewshot_seed(1234)
            task.build_all_requests(system_instruction=system, apply_chat_template=chat, fewshot_as_multiturn=multiturn, chat_template=template)
            asked = {}
            for instance in task.instances:
                asked.setdefault(instance.doc_id, []).append(list(instance.args))
            runs.append({"shots": shots, "chat": chat, "multiturn": multiturn, "system": system, "asked": [asked[i] for i in sorted(asked)]})
    docs = [dict(doc) for doc in task.eval_docs]
    return {
        "config": config, "docs": docs, "pool": [dict(doc) for doc in task.fewshot_docs()],
        "same_split": task.fewshot_cfg.split == task.config.test_split, "targets": [task.doc_to_target(doc) for doc in docs],
        "multiple_inputs": bool(task.multiple_input), "multiple_targets": bool(task.multiple_target), "runs": runs,
    }


made = {task[0]: answers(*task) for task in TASKS}
# Texts repeat a great deal: they are kept once, and numbers stand for them.
texts = {}
for task in made.values():
    for run in task["runs"]:
        run["asked"] = [[[texts.setdefault(arg, len(texts)) if isinstance(arg, str) else arg for arg in args] for args in doc] for doc in run["asked"]]
text = json.dumps({"texts": list(texts), "tasks": made}, ensure_ascii=False, separators=(",", ":"))
(Path(__file__).parent / "tasks.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
