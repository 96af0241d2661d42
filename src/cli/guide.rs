//! What `--help` and the man pages say beyond flags: examples, exit codes, variables, files.

use crate::engine::remote::address::ENDPOINTS;

/// What fairmark is for, a paragraph each.
pub const DESCRIPTION: &[&str] = &[
    "`fairmark` evaluates language models on benchmarks. It reads tasks in the YAML format of EleutherAI's lm-evaluation-harness, runs \
     them on local checkpoints (Hugging Face folders or hub ids, GGUF files) or on servers (OpenAI, Anthropic, Gemini, vLLM, llama.cpp \
     and others), and prints a table with standard errors. Prompts, shots, scores and result files are those of the reference harness.",
    "Every answer is written to a run folder as soon as it exists. A run that was killed, interrupted or cut off by a server goes on when \
     the same command is given again, and leaves the same result files. A document that could not be scored is reported and left out \
     of the score; it never counts as wrong.",
    "Models and data sets that are not on disk come from the Hugging Face hub and are kept in its usual cache. `--offline` uses only what \
     is there, `--data-dir` a folder of your own files. Programs that a model wrote run in a sandbox, or not at all.",
    "Data goes to standard output, talk to standard error.",
];

/// Commands to begin with, and what they do.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("fairmark demo", "The built-in model at five precisions on six small tasks: what all this looks like."),
    (
        "fairmark run --model meta-llama/Llama-3.2-1B --tasks mmlu,gsm8k --limit 100",
        "A model of the hub on two benchmarks.",
    ),
    ("fairmark run --model ./base --model ./tuned --tasks arc_easy,winogrande", "Two local checkpoints, side by side."),
    ("fairmark run --model openai:gpt-4o-mini --tasks gsm8k --max-cost 1", "A server, for one dollar at most."),
    ("fairmark show mmlu_anatomy --doc 3 --model ./base", "What exactly is asked: prompt, choices, token ids."),
    ("fairmark ls tasks", "All tasks; `fairmark ls --help` says what else there is to list."),
];

/// The process's exit codes and what they mean.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "Done."),
    (1, "Kept for gates and verdicts, which no verb has yet."),
    (2, "Something to mend; the message says what and where."),
    (3, "Incomplete: run the same command again."),
];

/// Variables that the program reads, without those of [`ENDPOINTS`].
const VARIABLES: &[(&str, &str)] = &[
    (
        "HF_TOKEN, HUGGING_FACE_HUB_TOKEN",
        "Token for the hub; the first that is set counts, else the file that HF_TOKEN_PATH names, else `token` in HF_HOME.",
    ),
    ("HF_HOME", "The hub's folder. Else `huggingface` in XDG_CACHE_HOME, else `~/.cache/huggingface`."),
    ("HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE", "Where models and data sets of the hub are kept. Else `hub` in HF_HOME."),
    ("HF_ENDPOINT", "Address of another hub."),
    (
        "HF_HUB_OFFLINE, HF_DATASETS_OFFLINE, TRANSFORMERS_OFFLINE",
        "One of them set to 1, on, yes or true: as `--offline`.",
    ),
    (
        "FAIRMARK_CACHE_DIR",
        "Folder of the response cache. Else `fairmark` in the system's cache folder (XDG_CACHE_HOME, else `~/.cache`).",
    ),
    (
        "FAIRMARK_ISA",
        "Instruction set of the local engine: `avx512-bf16`, `avx512`, `avx2`, `neon` or `portable`, where the processor has it. Numbers of two \
         of them may differ in the last digits. Else the best.",
    ),
    ("FAIRMARK_API_KEY", "Key for servers that have no variable of their own. It goes to whatever address is named."),
    ("PERSPECTIVE_API_KEY", "Key of the toxicity scorer `perspective`."),
    ("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "Proxies, for all addresses but those of this machine."),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "Certificates to trust instead of the system's (not on macOS and Windows)."),
    ("NO_COLOR", "Set: no colours."),
    ("CLICOLOR_FORCE", "Set and not 0: colours where standard output is no terminal, too."),
    ("TMPDIR", "Where the built-in model and the files of sandboxed programs are put for as long as they are needed."),
];

/// What a run leaves; paths under the folder of `--out`.
pub const FILES: &[(&str, &str)] = &[
    (
        "reports/<model>-<hash>/",
        "A run's folder. The hash is of all that decides the numbers: the same command finds its folder again.",
    ),
    ("run.json", "What decided the numbers, what decided only the time, and where it ran."),
    ("journal.jsonl", "One line for each answer and score, as soon as it exists."),
    ("results_<date>.json, samples_<task>_<date>.jsonl", "Scores and samples in the reference harness's form."),
    ("samples.parquet", "All samples, with every figure of every choice."),
    ("usage.json", "Tokens, latencies, retries and cost."),
];

/// What stands below the flags of `fairmark --help`.
pub fn after_help() -> String {
    let mut text = String::from("Examples:\n");
    for (command, about) in EXAMPLES {
        text.push_str(&format!("  {command}\n      {about}\n"));
    }
    text.push_str("\nExit codes:\n");
    for (code, meaning) in EXIT_CODES {
        text.push_str(&format!("  {code}  {meaning}\n"));
    }
    text.push_str("\n`fairmark man` prints the manual page, with variables and files.");
    text
}

/// Variables and what they mean: general ones, then those of each provider.
pub fn variables() -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> =
        VARIABLES.iter().map(|(n, about)| (n.to_string(), about.to_string())).collect();
    let mut providers: Vec<(String, String)> = Vec::new();
    for endpoint in ENDPOINTS {
        // The hub's token stands above.
        let keys = endpoint.key_vars.iter().filter(|name| **name != "HF_TOKEN");
        let names: Vec<&str> = keys.copied().chain(endpoint.base_var).collect();
        if names.is_empty() {
            continue;
        }
        let names = names.join(", ");
        match providers.iter_mut().find(|(known, _)| *known == names) {
            Some((_, about)) => *about = format!("{about}, `{}`", endpoint.name),
            None => {
                let what = match (endpoint.key_vars.is_empty(), endpoint.base_var) {
                    (false, Some(_)) => "Key and address of",
                    (false, None) => "Key of",
                    _ => "Address of",
                };
                providers.push((names, format!("{what} `{}`", endpoint.name)));
            }
        }
    }
    rows.extend(providers.into_iter().map(|(names, about)| (names, format!("{about}."))));
    rows
}
