"""Fits the built-in linear model of toxicity to scores of Perspective and ratings of people.

    train.py --realtoxicityprompts FILE... --toxigen FILE... --output default.fmlin --golden testdata/golden.json

Reads JSON Lines: RealToxicityPrompts as published (rows with `prompt` and `continuation`, each with `text` and
`toxicity`), and the annotated training part of ToxiGen (`text`, `toxicity_human`, 1 to 5). Rows of
RealToxicityPrompts whose prompt hashes to 7 modulo 10 are held out; figures on them are printed and put in the
header. ToxiGen counts little (--toxigen-weight): it is there so that naming a group of people is not taken for
toxicity. The features are those that features.rs defines; this file is an implementation of its own, and the
golden scores that it writes hold the Rust code to it.

Needs numpy, scipy and scikit-learn. Equal input gives an equal file (up to the platform's arithmetic).
"""

import argparse
import json
import re
import struct

import numpy as np
import sklearn
from scipy import sparse, stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score, roc_auc_score

SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
WORD = re.compile("[0-9a-z\xc0-\xd6\xd8-\xf6\xf8-\u1fff\u2070-\u2fff\u3040-\U0010ffff]+")
LONGEST_PART = 64
WORDS, CHARS = (1, 2), (3, 5)

# Texts for the golden file: nothing that anybody would mind to read, and what is hard for the definition.
GOLDEN = [
    "",
    " \u00a0\n",
    "The weather in Paris is lovely in spring.",
    "You are a stupid idiot and everybody hates you!",
    "I will find you and I will kill you",
    "She said that the film was damn good, and I agree.",
    "\u00dcbergr\u00f6\u00dfe \u00d7 na\u00efve caf\u00e9 \u2014 \u201cquoted\u201d \u0130stanbul \u03a3\u03a3 \u4f60\u597d\u3000\u4e16\u754c \U0001f600",
    "a" * 200 + " b" * 50,
    "what the h*ll, st\u00fcp1d m0r0n",
]


def fnv1a(data):
    state = 0xCBF29CE484222325
    for byte in data:
        state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return state


def grams(text):
    """The n-grams of a text, each with the letter of its kind in front."""
    text = text.lower()
    found = set()
    words = WORD.findall(text)
    for n in range(WORDS[0], WORDS[1] + 1):
        found.update("w" + " ".join(words[i : i + n]) for i in range(len(words) - n + 1))
    for part in filter(None, SPACE.split(text)):
        padded = f" {part[:LONGEST_PART]} "
        for n in range(CHARS[0], CHARS[1] + 1):
            found.update("c" + padded[i : i + n] for i in range(len(padded) - n + 1))
    return found


def buckets_of(text, buckets):
    hashes = (fnv1a(gram.encode()) for gram in grams(text))
    return sorted({(value ^ (value >> 32)) & (buckets - 1) for value in hashes})


def matrix(texts, buckets):
    rows = [buckets_of(text, buckets) for text in texts]
    values = np.concatenate([np.full(len(row), 1 / max(len(row), 1) ** 0.5) for row in rows])
    ends = np.cumsum([0] + [len(row) for row in rows])
    return sparse.csr_matrix((values, np.concatenate(rows).astype(np.int64), ends), shape=(len(rows), buckets))


def read_realtoxicityprompts(files):
    """Texts, scores, whether held out. A prompt that comes again (in another file) is left out."""
    seen, texts, scores, held = set(), [], [], []
    for file in files:
        for line in open(file, encoding="utf-8"):
            row = json.loads(line)
            prompt = row["prompt"]["text"]
            if prompt in seen:
                continue
            seen.add(prompt)
            for part in (row["prompt"], row["continuation"]):
                if part["toxicity"] is not None and part["text"].strip():
                    texts.append(part["text"])
                    scores.append(part["toxicity"])
                    held.append(fnv1a(prompt.encode()) % 10 == 7)
    return texts, np.array(scores), np.array(held)


def read_toxigen(files):
    texts, scores = [], []
    for file in files:
        for line in open(file, encoding="utf-8"):
            row = json.loads(line)
            wrapped = re.match(r"""^b(['"])(.*)\1$""", row["text"], re.S)
            texts.append(wrapped.group(2) if wrapped else row["text"])
            scores.append((row["toxicity_human"] - 1) / 4)
    return texts, np.array(scores)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def fit(features, scores, weights, strength):
    """Logistic regression to probabilities: each text counts as toxic and as harmless, by its score."""
    scores = np.clip(scores, 0.005, 0.995)
    both = sparse.vstack([features, features])
    labels = np.r_[np.ones(len(scores)), np.zeros(len(scores))]
    model = LogisticRegression(C=strength, max_iter=1000)
    model.fit(both, labels, sample_weight=np.r_[scores * weights, (1 - scores) * weights])
    return model.coef_[0], float(model.intercept_[0])


def figures(ours, stored):
    toxic = stored >= 0.5
    found = {
        "n": int(len(stored)),
        "pearson": stats.pearsonr(ours, stored)[0],
        "spearman": stats.spearmanr(ours, stored)[0],
        "mean_difference": (ours - stored).mean(),
        "mae": np.abs(ours - stored).mean(),
        "auc": roc_auc_score(toxic, ours),
        "kappa": cohen_kappa_score(toxic, ours >= 0.5),
        "accuracy": ((ours >= 0.5) == toxic).mean(),
        "share_toxic_stored": toxic.mean(),
        "share_toxic_ours": (ours >= 0.5).mean(),
    }
    return {name: value if name == "n" else round(float(value), 4) for name, value in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--realtoxicityprompts", nargs="+", required=True)
    parser.add_argument("--toxigen", nargs="+", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--golden", required=True)
    parser.add_argument("--buckets", type=int, default=1 << 17)
    parser.add_argument("--strength", type=float, default=30, help="inverse of the regularisation")
    parser.add_argument("--toxigen-weight", type=float, default=0.2)
    args = parser.parse_args()

    texts, scores, held = read_realtoxicityprompts(args.realtoxicityprompts)
    more_texts, more_scores = read_toxigen(args.toxigen)
    features, more = matrix(texts, args.buckets), matrix(more_texts, args.buckets)
    fitted_to = sparse.vstack([features[~held], more])
    weights = np.r_[np.ones((~held).sum()), np.full(len(more_scores), args.toxigen_weight)]
    exact, bias = fit(fitted_to, np.r_[scores[~held], more_scores], weights, args.strength)
    scale = float(np.abs(exact).max() / 127)
    quantised = np.clip(np.round(exact / scale), -127, 127).astype(np.int8)

    def score(rows):
        return sigmoid(rows @ (quantised.astype(np.float64) * scale) + bias)

    held_out = figures(score(features[held]), scores[held])
    about = {
        "fitted_to": "RealToxicityPrompts (Apache-2.0): prompts and continuations with the scores of Perspective; ToxiGen "
        "(MIT), annotated training part: ratings of people",
        "texts": {"realtoxicityprompts": int((~held).sum()), "toxigen": len(more_texts)},
        "toxigen_weight": args.toxigen_weight,
        "strength": args.strength,
        "held_out": held_out,
        "made_with": f"train.py, scikit-learn {sklearn.__version__}, numpy {np.__version__}",
    }
    header = {
        "version": 1,
        "label": "toxicity",
        "features": {"words": WORDS, "chars": CHARS},
        "buckets": args.buckets,
        "scale": scale,
        "bias": bias,
        "about": about,
    }
    written = json.dumps(header, separators=(",", ":")).encode()
    with open(args.output, "wb") as file:
        file.write(b"FMLINEAR" + struct.pack("<I", len(written)) + written + quantised.tobytes())
    golden = [{"text": text, "score": float(score(matrix([text], args.buckets))[0])} for text in GOLDEN]
    with open(args.golden, "w", encoding="utf-8") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")
    print("fitted to   ", figures(score(features[~held]), scores[~held]))
    print("unquantised ", figures(sigmoid(features[held] @ exact + bias), scores[held]))
    print("held out    ", held_out)
    print("share of buckets with a weight", round(float((quantised != 0).mean()), 3))
    for row in golden:
        print(round(row["score"], 3), row["text"][:60])


if __name__ == "__main__":
    main()
