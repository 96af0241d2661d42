//! Changed inputs: small valid files, changed at random, are read or refused, never a panic, an abort, a hang or all memory.
//!
//! By default each kind of file gets a few hundred changed inputs from fixed seeds. Longer:
//!
//! `FAIRMARK_FUZZ_SECONDS=3600 FAIRMARK_FUZZ=tokenizer,chat cargo test --release --test fuzz -- --ignored --nocapture`
//!
//! runs each named kind (all without `FAIRMARK_FUZZ`) for so long, from a seed of its own that it prints (`FAIRMARK_FUZZ_SEED` sets it).
//! Work is done in a child process with bounded memory and a watchdog. What is found is written into the target folder's `tmp/fuzz`, with
//! the place of a panic. `fuzz/` has the same entry points for libFuzzer.
#![cfg(unix)]

#[path = "fuzz/change.rs"]
mod change;
#[path = "fuzz/child.rs"]
mod child;
#[path = "fuzz/corpus.rs"]
mod corpus;
#[path = "fuzz/targets.rs"]
mod targets;

use std::path::Path;

/// Inputs of each kind in an ordinary test run.
const FEW: u64 = 200;

/// One kind of file.
pub struct Kind {
    pub name: &'static str,
    /// Reads an input; returns whether it was taken.
    pub read: fn(&mut targets::Room, &[u8]) -> bool,
    /// Valid inputs, each of which must be taken.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Words of its language.
    pub words: &'static [&'static str],
    pub is_json: bool,
}

/// All kinds.
pub const KINDS: &[Kind] = &[
    Kind { name: "task", read: targets::task, corpus: corpus::tasks, words: corpus::TASK_WORDS, is_json: false },
    Kind {
        name: "template",
        read: targets::template,
        corpus: corpus::templates,
        words: corpus::TEMPLATE_WORDS,
        is_json: false,
    },
    Kind { name: "chat", read: targets::chat, corpus: corpus::chats, words: corpus::TEMPLATE_WORDS, is_json: false },
    Kind {
        name: "tokenizer",
        read: targets::tokenizer,
        corpus: corpus::tokenizers,
        words: corpus::TOKENIZER_WORDS,
        is_json: true,
    },
    Kind { name: "parquet", read: targets::parquet, corpus: corpus::parquets, words: &[], is_json: false },
    Kind { name: "jsonl", read: targets::jsonl, corpus: corpus::rows, words: corpus::ROW_WORDS, is_json: false },
    Kind { name: "csv", read: targets::csv, corpus: corpus::tables, words: corpus::ROW_WORDS, is_json: false },
    Kind {
        name: "journal",
        read: targets::journal,
        corpus: corpus::journals,
        words: corpus::JOURNAL_WORDS,
        is_json: false,
    },
    Kind { name: "results", read: targets::results, corpus: corpus::results, words: corpus::RUN_WORDS, is_json: true },
    Kind { name: "samples", read: targets::samples, corpus: corpus::samples, words: corpus::RUN_WORDS, is_json: false },
    Kind {
        name: "header",
        read: targets::header,
        corpus: corpus::headers,
        words: corpus::JOURNAL_WORDS,
        is_json: true,
    },
];

/// A kind by its name.
pub fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("there is no kind {name}"))
}

/// A test for each kind, called like it.
macro_rules! few {
    ($($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                child::hunt(kind(stringify!($name)), 20_261_124, child::Bound::Inputs(FEW));
            }
        )+
    };
}

few! { template chat tokenizer parquet jsonl csv journal header results samples }

/// A task file takes longer: the built-in ones are read with it.
#[test]
fn task() {
    child::hunt(kind("task"), 20_261_124, child::Bound::Inputs(FEW / 4));
}

/// What every hunt begins with: the inputs that are changed are fine themselves.
#[test]
fn unchanged_inputs_are_taken() {
    for kind in KINDS {
        let mut room = targets::Room::new();
        for (n, input) in (kind.corpus)().iter().enumerate() {
            assert!((kind.read)(&mut room, input), "{} {n}: {}", kind.name, String::from_utf8_lossy(input));
        }
    }
}

/// As long as one likes.
#[test]
#[ignore = "takes as long as FAIRMARK_FUZZ_SECONDS says, for each kind"]
fn long() {
    let variable = |name: &str| std::env::var(name).ok();
    let number = |name: &str, otherwise| variable(name).map_or(otherwise, |text| text.parse().expect("a number"));
    let seconds = number("FAIRMARK_FUZZ_SECONDS", 60);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let seed = number("FAIRMARK_FUZZ_SEED", now);
    let named = variable("FAIRMARK_FUZZ");
    let is_named = |kind: &&Kind| named.as_ref().is_none_or(|names| names.split(',').any(|name| name == kind.name));
    let mut found = Vec::new();
    for kind in KINDS.iter().filter(is_named) {
        eprintln!("{}: {seconds} s from seed {seed}", kind.name);
        let hunted = std::panic::catch_unwind(|| child::hunt(kind, seed, child::Bound::Seconds(seconds)));
        found.extend(hunted.is_err().then_some(kind.name));
    }
    assert!(found.is_empty(), "something was found in {found:?}");
}

/// Reads one file as a kind: `FAIRMARK_FUZZ=tokenizer FAIRMARK_FUZZ_FILE=... cargo test --release --test fuzz -- --ignored one`.
#[test]
#[ignore = "reads the file that FAIRMARK_FUZZ_FILE names"]
fn one() {
    let Some(file) = std::env::var_os("FAIRMARK_FUZZ_FILE") else { return };
    let kind = kind(&std::env::var("FAIRMARK_FUZZ").expect("FAIRMARK_FUZZ names a kind"));
    let taken = (kind.read)(&mut targets::Room::new(), &std::fs::read(Path::new(&file)).expect("a file"));
    eprintln!("{}: {}", kind.name, if taken { "taken" } else { "refused" });
}

/// The child process of a hunt; nothing when run by itself.
#[test]
#[ignore = "a hunt starts it"]
fn child_process() {
    child::work();
}
