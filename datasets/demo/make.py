"""Makes the provisional demo: three small data sets about an invented valley, and the text a model is trained on.

    python3 make.py            writes <set>_train.jsonl and <set>_test.jsonl beside this file
    python3 make.py --text F   also writes the training text to F (for train.py)

Everything follows from the seed. No test question stands in the training text: questions are asked there about other
people, places and numbers.
"""

import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = (
    "Ada Bram Cleo Dov Esme Finn Gala Hugo Inga Jory Kaia Lars Mira Nils Olga Piet Quin Rosa Sven Tilda "
    "Ugo Vera Wim Xena Yara Zeno Arlo Bess Cato Dina"
).split()
ATTRIBUTES = {
    "job": ("is a", "What is the job of {}?", "baker miller weaver potter smith shepherd fisher mason".split()),
    "animal": ("keeps a", "Which animal does {} keep?", "goat heron mule otter raven hound ferret crane".split()),
    "colour": ("likes", "Which colour does {} like?", "amber blue crimson green ivory ochre violet white".split()),
    "village": ("lives in", "Where does {} live?", "Aldring Brook Corvale Dunmere Eskby Farrow Glenmor Holt".split()),
}
CHORES = {
    "the mill": "grinds the grain into flour",
    "the well": "fills two buckets with water",
    "the forge": "hammers the iron into a nail",
    "the orchard": "picks ripe apples into a basket",
    "the barn": "milks the cow before sunrise",
    "the river": "casts a net for trout",
    "the loom": "weaves the wool into a blanket",
    "the oven": "bakes a loaf of brown bread",
}
WHEN = ["In the morning", "After lunch", "On market day", "Before the rain", "In spring", "Every week"]
THINGS = "apples eggs nails loaves buckets trout blankets pots".split()


def facts(rng):
    return {name: {key: rng.choice(values) for key, (_, _, values) in ATTRIBUTES.items()} for name in NAMES}


def fact_rows(world, rng):
    rows = []
    for name, attributes in world.items():
        for key, (_, question, values) in ATTRIBUTES.items():
            answer = attributes[key]
            choices = rng.sample([v for v in values if v != answer], 3) + [answer]
            rng.shuffle(choices)
            rows.append({"question": question.format(name), "choices": choices, "answer": choices.index(answer)})
    rng.shuffle(rows)
    return rows


def chore_rows(rng):
    rows = []
    for when in WHEN:
        for name in NAMES:
            place = rng.choice(list(CHORES))
            wrong = rng.sample([p for p in CHORES if p != place], 3)
            endings = [CHORES[p] + "." for p in wrong + [place]]
            rng.shuffle(endings)
            rows.append({
                "ctx": f"{when} {name} goes to {place} and",
                "endings": endings,
                "label": endings.index(CHORES[place] + "."),
            })
    rng.shuffle(rows)
    return rows


def sum_rows(rng):
    pairs = [(a, b) for a in range(1, 41) for b in range(1, 41)]
    rows = []
    for a, b in rng.sample(pairs, 700):
        name, thing = rng.choice(NAMES), rng.choice(THINGS)
        rows.append({
            "question": f"{name} has {a} {thing} and gets {b} more. How many {thing} does {name} have?",
            "answer": f"{a} + {b} = {a + b}.\n#### {a + b}",
        })
    return rows


def split(rows, n_test):
    return rows[n_test:], rows[:n_test]


def main():
    rng = random.Random(7)
    world = facts(rng)
    sets = {
        "facts": split(fact_rows(world, rng), 40),
        "chores": split(chore_rows(rng), 60),
        "sums": split(sum_rows(rng), 60),
    }
    for name, (train, test) in sets.items():
        for part, rows in (("train", train[:60]), ("test", test)):
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (HERE / f"{name}_{part}.jsonl").write_text(text, encoding="utf-8")
    if "--text" in sys.argv:
        Path(sys.argv[sys.argv.index("--text") + 1]).write_text(training_text(world, sets, rng), encoding="utf-8")


def training_text(world, sets, rng):
    """One document a line group, separated by blank lines and a rule; repeated in shuffled order."""
    documents = []
    for _ in range(12):
        for name, attributes in world.items():
            parts = [f"{name} {ATTRIBUTES[key][0]} {value}." for key, value in attributes.items()]
            rng.shuffle(parts)
            documents.append(" ".join(parts))
        for row in sets["facts"][0]:
            documents.append(f"Question: {row['question']}\nAnswer: {row['choices'][row['answer']]}")
    for _ in range(4):
        for row in sets["chores"][0]:
            documents.append(f"{row['ctx']} {row['endings'][row['label']]}")
        for row in sets["sums"][0]:
            documents.append(f"Question: {row['question']}\nAnswer: {row['answer']}")
    rng.shuffle(documents)
    return "\n\n".join(documents) + "\n\n"


if __name__ == "__main__":
    main()
