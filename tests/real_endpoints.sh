#!/usr/bin/env bash
# Shows that remote endpoints give what a local run gives, with real servers instead of recorded answers.
#
# Three servers run one small model on this machine, each on a free port: llama-cpp-python's `llama_cpp.server`, `transformers serve`, and
# llama.cpp's own `llama-server`. `fairmark run` asks the same questions of a server and of the local engine, and the answers in the
# two journals are compared, request by request:
#   - where a server scores prompts, every log-likelihood agrees within 1e-3, with the same number of tokens and the same `is_greedy`;
#   - where it does not, `--mc-protocol likelihood` is refused (exit code 2, and why), and `--mc-protocol auto` falls back to letters and
#     says so in the name of the filter;
#   - greedy text is the same (apart from white space around it, where servers detokenise in another way).
#
# How to run, from anywhere, after `cargo build --release`:
#
#     tests/real_endpoints.sh
#
# Variables (all optional):
#   FAIRMARK                 the program                        (default: target/release/fairmark)
#   FAIRMARK_MODEL           folder with a Llama in f32, as a checkpoint and as one *-f32.gguf  (default: ../shared/models/stories260K)
#   FAIRMARK_SERVERS_PYTHON  a Python that has the servers; without it a virtual environment is made under target/, which takes a
#                            compiler, about 3 GB and up to half an hour the first time
#   FAIRMARK_KEEP_GOING      set to 1: go on after a failed check
#   LLAMA_SERVER             the program `llama-server`         (default: the one on the PATH, else the server in the Python package xllamacpp)
#
# One line for each check. Exit code 0: all passed, or skipped (which is said); 1: a check failed; it is the last, and the end of the
# server's log follows it. About a minute when the servers are installed.

set -u
cd "$(dirname "$0")/.." || exit 1

FAIRMARK=${FAIRMARK:-target/release/fairmark}
MODEL=${FAIRMARK_MODEL:-../shared/models/stories260K}
PACKAGES=('llama-cpp-python[server]==0.3.36' 'transformers[serving]==5.24.0' torch 'xllamacpp==2026.10.11549')

skip() {
    echo "skipped: $*"
    exit 0
}

[ -x "$FAIRMARK" ] || skip "there is no $FAIRMARK (cargo build --release makes it)"
[ -f "$MODEL/config.json" ] || skip "there is no model in $MODEL"
FAIRMARK=$(realpath "$FAIRMARK")
MODEL=$(realpath "$MODEL")
GGUF=$(find "$MODEL" -name '*-f32.gguf' | head -n 1)
[ -n "$GGUF" ] || skip "there is no *-f32.gguf in $MODEL"

PYTHON=${FAIRMARK_SERVERS_PYTHON:-}
if [ -z "$PYTHON" ]; then
    venv=target/servers-venv
    PYTHON=$venv/bin/python
    if [ ! -f "$venv/complete" ]; then
        echo "making $venv (once; this takes a while)"
        python3 -m venv "$venv" || skip "python3 cannot make a virtual environment"
        "$PYTHON" -m pip install --quiet "${PACKAGES[@]}" || skip "pip cannot install ${PACKAGES[*]}"
        touch "$venv/complete"
    fi
fi
"$PYTHON" -c '' 2>/dev/null || skip "$PYTHON does not run"

WORK=$(mktemp -d)
SERVERS=()
PASSED=0
FAILED=0
SKIPPED=0
LOG=

stop_servers() {
    local pid
    for pid in "${SERVERS[@]+"${SERVERS[@]}"}"; do
        kill "$pid" 2>/dev/null
    done
    for pid in "${SERVERS[@]+"${SERVERS[@]}"}"; do
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.2
        done
        kill -9 "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    SERVERS=()
}

cleanup() {
    stop_servers
    rm -rf "$WORK"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

ok() {
    PASSED=$((PASSED + 1))
    echo "ok    $*"
}

fail() {
    echo "FAIL  $*"
    FAILED=$((FAILED + 1))
    [ "${FAIRMARK_KEEP_GOING:-}" = 1 ] && return
    if [ -n "$LOG" ] && [ -f "$LOG" ]; then
        echo "--- end of the server's log"
        tail -n 15 "$LOG"
    fi
    exit 1
}

no_server() {
    SKIPPED=$((SKIPPED + 1))
    echo "skipped: $*"
}

# ---------------------------------------------------------------------------------------------------------------------------------
# Tools in Python: free ports, waiting, comparing.

cat >"$WORK/tool.py" <<'PY'
"""tool.py port | wait URL PID SECONDS | compare WHAT LOCAL REMOTE | filters RUN TASK"""
import glob, json, os, socket, sys, time, urllib.request

TOLERANCE = 1e-3


def port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1])


def wait(url, pid, seconds):
    end = time.time() + float(seconds)
    while time.time() < end:
        try:
            os.kill(int(pid), 0)
        except OSError:
            sys.exit("it ended")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.3)
    sys.exit(f"it does not answer within {seconds} s")


def run_folder(out):
    found = glob.glob(os.path.join(out, "*", "journal.jsonl"))
    if len(found) != 1:
        sys.exit(f"{len(found)} run folders in {out}")
    return os.path.dirname(found[0])


def answers(out):
    """Answers of a run, by what was asked: prompts by their text."""
    prompts, found = {}, {}
    with open(os.path.join(run_folder(out), "journal.jsonl"), encoding="utf-8") as lines:
        for line in lines:
            line = json.loads(line)
            if line["line"] == "prompt":
                prompts[line["id"]] = line["prompt"]
            elif line["line"] == "answer":
                where = (line["task"], line["doc_id"], line["request"], line["sample"])
                answer = line.get("response", {}).get("answer")
                found[where] = (line.get("asked"), answer, line)
    return found, prompts


def compare(what, local, remote):
    ours, _ = answers(local)
    theirs, _ = answers(remote)
    if not ours:
        sys.exit("the local run has no answers")
    if ours.keys() != theirs.keys():
        sys.exit(f"{len(ours)} requests locally, {len(theirs)} at the server")
    worst = 0.0
    counted = 0
    for where, (asked, mine, _) in sorted(ours.items()):
        yours, line = theirs[where][1:]
        if not isinstance(yours, dict):
            sys.exit(f"{where} has no answer from the server: {json.dumps(line, ensure_ascii=False)[:400]}")
        if mine.keys() != yours.keys():
            sys.exit(f"{where}: {list(mine)} locally, {list(yours)} at the server")
        if what == "scores" and "loglikelihood" in mine:
            a, b = mine["loglikelihood"], yours["loglikelihood"]
            apart = abs(a["logprob"] - b["logprob"])
            worst = max(worst, apart)
            if not apart <= TOLERANCE or a["num_tokens"] != b["num_tokens"] or a["is_greedy"] != b["is_greedy"]:
                sys.exit(f"{where} {asked}: locally {a}, at the server {b}")
            counted += 1
        elif what == "texts" and "text" in mine:
            a, b = mine["text"], yours["text"]
            if a["text"] != b["text"] or a["finish"] != b["finish"]:
                sys.exit(f"{where}: locally {a}, at the server {b}")
            counted += 1
        elif what == "words" and "text" in mine:
            # The blank that belongs to an answer's first token stands before the answer (llama.cpp), or is swallowed as the reference's
            # detokeniser does it; servers of chats trim answers.
            a, b = mine["text"]["text"].strip(), yours["text"]["text"].strip()
            if a != b:
                sys.exit(f"{where}: locally {a!r}, at the server {b!r}")
            counted += 1
    if counted == 0:
        sys.exit(f"no {what} among the answers")
    if what == "scores":
        print(f"{counted} log-likelihoods, worst difference {worst:.1e}")
    else:
        print(f"{counted} texts are the same")


def filters(out, task):
    """Names of the filters of a task's metrics."""
    found = glob.glob(os.path.join(run_folder(out), "results_*.json"))
    if len(found) != 1:
        sys.exit(f"{len(found)} results files")
    with open(found[0], encoding="utf-8") as file:
        row = json.load(file)["results"][task]
    print(" ".join(sorted({key.split(",", 1)[1] for key in row if "," in key and "_stderr" not in key})))


globals()[sys.argv[1]](*sys.argv[2:])
PY

tool() {
    "$PYTHON" "$WORK/tool.py" "$@"
}

# ---------------------------------------------------------------------------------------------------------------------------------
# Tasks: plain stories; choices of one and of many tokens, with characters of several byte tokens, with contexts that end in a quote, a blank
# or a line break; texts that end at a stop string in the middle of a token, and at their limit. No context ends inside a token: there a
# local run feeds the context's own tokens, as the reference does, and a server that takes texts those of the whole.

mkdir "$WORK/tasks"
cat >"$WORK/tasks/real_choices.yaml" <<'YAML'
task: real_choices
dataset_path: json
dataset_kwargs:
  data_files: {test: real_choices.jsonl}
test_split: test
output_type: multiple_choice
doc_to_text: "{{context}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
YAML
cat >"$WORK/tasks/real_choices.jsonl" <<'JSON'
{"context": "Lily was very", "choices": ["happy", "sad", "purple", "under"], "answer": 0}
{"context": "Once upon a time, there was a little", "choices": ["girl named Lily.", "of stone because of", "boy who liked to play."], "answer": 0}
{"context": "The dog saw a ball. \"Let's play!\" said the dog. The dog", "choices": ["ran and ran.", "was 17 years old; it paid taxes."], "answer": 0}
{"context": "Tom had a red car.\nHe loved it", "choices": ["very much.", "\n\nvery", "so"], "answer": 0}
{"context": "Mum made a café – a very good one. 猫", "choices": ["came to the café.", "naïve 猫 – über"], "answer": 0}
JSON
cat >"$WORK/tasks/real_glued.yaml" <<'YAML'
task: real_glued
dataset_path: json
dataset_kwargs:
  data_files: {test: real_glued.jsonl}
test_split: test
output_type: multiple_choice
target_delimiter: ""
doc_to_text: "{{context}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
YAML
cat >"$WORK/tasks/real_glued.jsonl" <<'JSON'
{"context": "Tom said, \"", "choices": ["I love you.\"", "Let's play!\" Lily was"], "answer": 0}
{"context": "She went to the park to ", "choices": ["play with her friends.", "see the big tree."], "answer": 0}
{"context": "The end.\n", "choices": ["Once upon a time", "\nOnce"], "answer": 0}
JSON
cat >"$WORK/tasks/real_stories.yaml" <<'YAML'
task: real_stories
dataset_path: json
dataset_kwargs:
  data_files: {test: real_stories.jsonl}
test_split: test
output_type: generate_until
doc_to_text: "{{context}}"
doc_to_target: ""
generation_kwargs:
  until: ["@@"]
  do_sample: false
  max_gen_toks: 60
metric_list:
  - metric: exact_match
YAML
cat >"$WORK/tasks/real_stories.jsonl" <<'JSON'
{"context": "Once upon a time"}
{"context": "Lily and Tom were playing in the"}
{"context": "One day, a big dog"}
JSON
sed -e 's/^task: .*/task: real_stops/' -e 's/until: .*/until: ["\\n", "ittl"]/' "$WORK/tasks/real_stories.yaml" >"$WORK/tasks/real_stops.yaml"

# The model with a chat template, for the routes that take turns.
CHAT=$WORK/chat
mkdir "$CHAT"
for file in "$MODEL"/*.json "$MODEL"/*.safetensors "$MODEL"/tokenizer.model; do
    [ -f "$file" ] && ln -s "$file" "$CHAT/"
done
cat >"$CHAT/chat_template.jinja" <<'JINJA'
{{ bos_token }}{% for message in messages %}{{ message.role }}: {{ message.content }}
{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}
JINJA

# ---------------------------------------------------------------------------------------------------------------------------------
# Runs. `run NAME ARGS...` leaves its run folder in $WORK/runs/NAME, what it said in $WORK/runs/NAME.err, and its exit code in $CODE.

mkdir "$WORK/runs"
run() {
    local name=$1
    shift
    timeout 120 "$FAIRMARK" run --quiet --out "$WORK/runs/$name" --include-path "$WORK/tasks" --bootstrap-iters 0 "$@" \
        >"$WORK/runs/$name.out" 2>"$WORK/runs/$name.err"
    CODE=$?
}

must_run() {
    run "$@"
    [ "$CODE" -eq 0 ] || {
        cat "$WORK/runs/$1.err"
        fail "$1: fairmark run ended with exit code $CODE"
    }
}

# A run under letters: this small model does not always list a letter among the likeliest first tokens, which leaves documents out.
must_run_letters() {
    run "$@" --tasks real_choices --mc-protocol auto
    [ "$CODE" -eq 0 ] && return
    [ "$CODE" -eq 3 ] && grep -q 'none of the labels is among' "$WORK/runs/$1.err" && return
    cat "$WORK/runs/$1.err"
    fail "$1: fairmark run ended with exit code $CODE"
}

# agree TITLE WHAT LOCAL REMOTE
agree() {
    local said
    said=$(tool compare "$2" "$WORK/runs/$3" "$WORK/runs/$4" 2>&1) || {
        fail "$1: $said"
        return
    }
    ok "$1: $said"
}

# refused TITLE NAME: the run that was made must have been refused for want of log-probabilities.
refused() {
    [ "$CODE" -eq 2 ] || {
        fail "$1: exit code $CODE instead of 2"
        return
    }
    grep -q 'cannot score choices by their likelihood' "$WORK/runs/$2.err" || {
        cat "$WORK/runs/$2.err"
        fail "$1: another message"
        return
    }
    ok "$1: refused: $(grep -o 'cannot score choices by their likelihood.*' "$WORK/runs/$2.err" | head -n 1 | cut -c 43-230)"
}

# has_filter TITLE NAME FILTER
has_filter() {
    local found
    found=$(tool filters "$WORK/runs/$2" real_choices 2>&1)
    [ "$found" = "$3" ] || {
        fail "$1: the row's filter is \`$found\` instead of \`$3\`"
        return
    }
    ok "$1: the row's filter is $found"
}

# serve NAME URL-OF-HEALTH COMMAND...: starts a server; $LOG is its log.
serve() {
    local name=$1 url=$2 said
    shift 2
    LOG=$WORK/$name.log
    "$@" >"$LOG" 2>&1 </dev/null &
    SERVERS+=($!)
    said=$(tool wait "$url" "$!" 90 2>&1) || fail "$name does not start: $said"
}

export HF_HUB_OFFLINE=1 NO_COLOR=1
unset FAIRMARK_API_KEY
REMOTE=(--cache off --max-retries 2)
SCORED=real_choices,real_glued
WRITTEN=real_stories,real_stops

must_run local-scores --model "$MODEL" --tasks $SCORED
must_run local-texts --model "$MODEL" --tasks $WRITTEN
must_run local-turns --model "$CHAT" --tasks $WRITTEN --apply-chat-template

# ---------------------------------------------------------------------------------------------------------------------------------
llama_cpp_python() {
    "$PYTHON" -c 'import llama_cpp.server.__main__' 2>/dev/null || {
        no_server "llama_cpp.server is not installed in $PYTHON"
        return
    }
    local port url
    port=$(tool port)
    url=http://127.0.0.1:$port/v1
    # Keys and values in f32 (type 0): the default f16 alone moves sums by 0.02.
    serve llama_cpp.server "$url/models" "$PYTHON" -m llama_cpp.server --model "$GGUF" --model_alias stories --host 127.0.0.1 \
        --port "$port" --n_ctx 512 --n_threads 1 --n_threads_batch 1 --logits_all true --type_k 0 --type_v 0

    must_run lcs-found --model "$url#stories" --tasks $SCORED --mc-protocol likelihood "${REMOTE[@]}"
    agree "llama_cpp.server, format found by probing" scores local-scores lcs-found
    must_run lcs-named --model "openai-completions:$url#stories" --tasks $SCORED "${REMOTE[@]}"
    agree "llama_cpp.server, openai-completions" scores local-scores lcs-named
    has_filter "llama_cpp.server, openai-completions, auto" lcs-named none
    # This server punishes repetitions unless it is told not to.
    must_run lcs-texts --model "openai-completions:$url#stories" --tasks $WRITTEN --extra-body '{"repeat_penalty": 1.0}' "${REMOTE[@]}"
    agree "llama_cpp.server, openai-completions" words local-texts lcs-texts
    run lcs-chat --model "openai-chat:$url#stories" --tasks real_choices --apply-chat-template --mc-protocol likelihood "${REMOTE[@]}"
    refused "llama_cpp.server, openai-chat, likelihood" lcs-chat
    must_run_letters lcs-letters --model "openai-chat:$url#stories" --apply-chat-template "${REMOTE[@]}"
    has_filter "llama_cpp.server, openai-chat, auto" lcs-letters letter-logprobs
    stop_servers

    port=$(tool port)
    url=http://127.0.0.1:$port/v1
    serve llama_cpp.server-last-logits "$url/models" "$PYTHON" -m llama_cpp.server --model "$GGUF" --model_alias stories --host 127.0.0.1 \
        --port "$port" --n_ctx 512 --n_threads 1 --n_threads_batch 1 --logits_all false
    run lcs-last --model "$url#stories" --tasks real_choices --mc-protocol likelihood "${REMOTE[@]}"
    refused "llama_cpp.server --logits_all false, likelihood" lcs-last
    must_run_letters lcs-last-letters --model "$url#stories" "${REMOTE[@]}"
    has_filter "llama_cpp.server --logits_all false, auto" lcs-last-letters letter-text
    stop_servers

    # A model that puts no BOS token at the front: this server then gives every token the number of its successor's place. Wrong numbers
    # must not become scores.
    port=$(tool port)
    url=http://127.0.0.1:$port/v1
    serve llama_cpp.server-shifted "$url/models" "$PYTHON" -m llama_cpp.server --model "$GGUF" --model_alias stories --host 127.0.0.1 \
        --port "$port" --n_ctx 512 --n_threads 1 --n_threads_batch 1 --logits_all true --type_k 0 --type_v 0 \
        --kv_overrides tokenizer.ggml.add_bos_token=bool:false
    run lcs-shifted --model "$url#stories" --tasks real_choices --mc-protocol likelihood "${REMOTE[@]}"
    refused "llama_cpp.server with shifted log-probabilities, likelihood" lcs-shifted
    stop_servers
}

transformers_serve() {
    "$PYTHON" -c 'import fastapi, uvicorn, openai, transformers.cli.serve' 2>/dev/null || {
        no_server "transformers serve is not installed in $PYTHON"
        return
    }
    local port url
    local program='from transformers.cli.transformers import main; main()'
    port=$(tool port)
    url=http://127.0.0.1:$port/v1
    serve transformers-serve "http://127.0.0.1:$port/health" env OMP_NUM_THREADS=1 "$PYTHON" -c "$program" serve --host 127.0.0.1 \
        --port "$port" --device cpu "$CHAT"

    run tfs-refused --model "$url#$CHAT" --tasks real_choices --mc-protocol likelihood "${REMOTE[@]}"
    refused "transformers serve, likelihood" tfs-refused
    must_run_letters tfs-letters --model "$url#$CHAT" "${REMOTE[@]}"
    has_filter "transformers serve, auto" tfs-letters letter-text
    must_run tfs-texts --model "$url#$CHAT" --tasks $WRITTEN "${REMOTE[@]}"
    agree "transformers serve, format found by probing" texts local-texts tfs-texts
    must_run tfs-turns --model "openai-chat:$url#$CHAT" --tasks $WRITTEN --apply-chat-template "${REMOTE[@]}"
    agree "transformers serve, openai-chat" words local-turns tfs-turns
    must_run tfs-responses --model "openai-responses:$url#$CHAT" --tasks $WRITTEN --apply-chat-template "${REMOTE[@]}"
    agree "transformers serve, openai-responses" words local-turns tfs-responses
    stop_servers
}

llama_server() {
    local port url program
    program=${LLAMA_SERVER:-$(command -v llama-server || true)}
    port=$(tool port)
    url=http://127.0.0.1:$port
    # Only f32 keys and values together with flash attention switched off give the model's own numbers.
    if [ -n "$program" ]; then
        serve llama-server "$url/health" "$program" --model "$GGUF" --host 127.0.0.1 --port "$port" --threads 1 --flash-attn off \
            --cache-type-k f32 --cache-type-v f32 --jinja --chat-template-file "$CHAT/chat_template.jinja"
    elif "$PYTHON" -c 'import xllamacpp' 2>/dev/null; then
        cat >"$WORK/llama_server.py" <<'PY'
"""The server of llama.cpp inside the Python package xllamacpp: llama_server.py MODEL PORT TEMPLATE"""
import sys, time
import xllamacpp as x

params = x.CommonParams()
params.model.path = sys.argv[1]
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[2])
params.chat_template = open(sys.argv[3]).read()
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.cache_type_k = params.cache_type_v = x.ggml_type.GGML_TYPE_F32
params.flash_attn_type = x.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
server = x.Server(params)
while True:
    time.sleep(60)
PY
        serve llama-server "$url/health" "$PYTHON" "$WORK/llama_server.py" "$GGUF" "$port" "$CHAT/chat_template.jinja"
    else
        no_server "there is no llama-server on the PATH and no xllamacpp in $PYTHON"
        return
    fi

    run ls-scores --model "llama-server:$url" --tasks $SCORED --mc-protocol likelihood "${REMOTE[@]}"
    if [ "$CODE" -eq 0 ]; then
        agree "llama-server, own routes" scores local-scores ls-scores
    else
        refused "llama-server, own routes, likelihood" ls-scores
        must_run_letters ls-letters --model "llama-server:$url" "${REMOTE[@]}"
        has_filter "llama-server, own routes, auto" ls-letters letter-logprobs
    fi
    must_run ls-texts --model "llama-server:$url" --tasks $WRITTEN "${REMOTE[@]}"
    agree "llama-server, own routes" words local-texts ls-texts
    must_run ls-ids --model "llama-server:$url" --tokenizer "$MODEL" --tasks $WRITTEN "${REMOTE[@]}"
    agree "llama-server, own routes, prompts as token ids" words local-texts ls-ids
    # `echo` is ignored by this server's /v1/completions: numbers of written tokens must not be taken for the prompt's.
    run ls-echo --model "openai-completions:$url/v1" --tasks real_choices --mc-protocol likelihood "${REMOTE[@]}"
    refused "llama-server, openai-completions, likelihood" ls-echo
    must_run ls-completions --model "openai-completions:$url/v1" --tasks $WRITTEN "${REMOTE[@]}"
    agree "llama-server, openai-completions" words local-texts ls-completions
    must_run ls-turns --model "openai-chat:$url/v1" --tasks $WRITTEN --apply-chat-template "${REMOTE[@]}"
    agree "llama-server, openai-chat" words local-turns ls-turns
    must_run_letters ls-chat-letters --model "openai-chat:$url/v1" --apply-chat-template "${REMOTE[@]}"
    has_filter "llama-server, openai-chat, auto" ls-chat-letters letter-logprobs
    must_run ls-responses --model "openai-responses:$url/v1" --tasks $WRITTEN --apply-chat-template "${REMOTE[@]}"
    agree "llama-server, openai-responses" words local-turns ls-responses
    must_run ls-messages --model "anthropic:$url/v1" --tasks $WRITTEN --apply-chat-template "${REMOTE[@]}"
    agree "llama-server, anthropic" words local-turns ls-messages
    stop_servers
}

llama_cpp_python
transformers_serve
llama_server
echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ "$FAILED" -eq 0 ]
