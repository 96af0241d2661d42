//! Flags, verbs and commands that stand in the running text of documents: they exist.

use super::help::commands as commands_of_help;
use super::others::{self, of_fairmark};
use super::pages::{Block, commands, read, split};
use fancy_regex::Regex;
use std::collections::BTreeSet;

/// Flags of other programs, by the document that speaks of them. (Commands of other programs in backticks are looked at as such.)
const OF_OTHERS: &[(&str, &[&str])] = &[
    // cargo's, with a feature behind it.
    ("README.md", &["--features"]),
    ("docs/models.md", &["--features"]),
    // lm_eval's.
    ("docs/compare.md", &["--log_samples"]),
];

/// The document that names those of lm_eval, which are in a file of their own.
const LM_EVAL_PAGE: &str = "docs/from-lm-eval.md";

/// The flags of lm_eval 0.4.13.
pub fn of_lm_eval() -> BTreeSet<&'static str> {
    include_str!("lm_eval_flags.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect()
}

/// What the binary says of itself: `(verb with its words, flags)`.
pub struct Known {
    pub verbs: BTreeSet<String>,
    pub flags: BTreeSet<String>,
}

impl Known {
    pub fn ask() -> Known {
        let mut known = Known { verbs: BTreeSet::new(), flags: BTreeSet::new() };
        for command in commands_of_help() {
            known.verbs.insert(command.path.join(" "));
            known.flags.extend(command.flags);
            known.flags.extend(command.other_names);
        }
        known
    }
}

/// What is wrong with the flags and verbs of a document.
pub fn problems(page: &str, known: &Known) -> Vec<String> {
    let text = read(page);
    let (blocks, prose) = split(&text);
    let is_flag = Regex::new(r"(?<![\w-])--[a-z][a-z0-9_-]*").unwrap();
    let is_verb = Regex::new(r"^fairmark ([a-z][a-z-]*)").unwrap();
    let code = Regex::new(r"`[^`]+`").unwrap();
    let others = OF_OTHERS.iter().find(|(name, _)| *name == page).map_or(&[][..], |(_, flags)| flags);
    let of_lm_eval = if page == LM_EVAL_PAGE { of_lm_eval() } else { BTreeSet::new() };
    let is_known = |flag: &str| known.flags.contains(flag) || others.contains(&flag) || of_lm_eval.contains(flag);
    let mut problems = Vec::new();
    let mut look = |line: usize, span: &str| {
        let called = of_fairmark(span);
        let span = called.as_deref().unwrap_or(span);
        if others::is_other(span) {
            problems.extend(others::check(span).err().map(|why| format!("{page}:{line}: `{span}`: {why}")));
            return;
        }
        if let Some(verb) = is_verb.captures(span).unwrap()
            && !known.verbs.contains(&verb[1])
        {
            problems.push(format!("{page}:{line}: `{span}`: fairmark has no `{}`", &verb[1]));
        }
        for flag in is_flag.find_iter(span).map(|found| found.unwrap().as_str()).filter(|flag| !is_known(flag)) {
            problems.push(format!("{page}:{line}: nobody has the flag {flag} of `{span}`"));
        }
    };
    for (index, line) in prose.iter().enumerate() {
        code.find_iter(line).for_each(|span| look(index + 1, span.unwrap().as_str().trim_matches('`')));
    }
    for (line, command) in lines_of(&blocks) {
        look(line, &command);
    }
    problems
}

/// The commands of console blocks, and the lines of `sh` blocks: commands of lm_eval, beside which ours stand.
fn lines_of(blocks: &[Block]) -> Vec<(usize, String)> {
    let own = commands(blocks).into_iter().map(|command| (command.line, command.text));
    let theirs = blocks.iter().filter(|block| block.language == "sh").flat_map(|block| {
        block.text.lines().enumerate().map(|(index, line)| (block.line + 1 + index, line.to_owned()))
    });
    own.chain(theirs).collect()
}
