//! All filters.

use crate::error::Result;
use crate::score::filters::{self, Filter};
use crate::score::kwargs::Kwargs;

/// A filter.
pub struct FilterRow {
    pub name: &'static str,
    pub kwargs: &'static [&'static str],
    pub required: &'static [&'static str],
    pub doc: &'static str,
    /// Builds the filter from its arguments.
    pub build: fn(Kwargs<'_>) -> Result<Filter>,
}

/// All filters.
pub const FILTERS: &[FilterRow] = &[
    FilterRow {
        name: "take_first",
        kwargs: &[],
        required: &[],
        doc: "the first of the repeats",
        build: filters::take_first,
    },
    FilterRow {
        name: "take_first_k",
        kwargs: &["k"],
        required: &["k"],
        doc: "the first k of the repeats",
        build: filters::take_first_k,
    },
    FilterRow {
        name: "majority_vote",
        kwargs: &[],
        required: &[],
        doc: "the answer that most repeats give, as a list of one",
        build: filters::majority_vote,
    },
    FilterRow {
        name: "regex",
        kwargs: &["regex_pattern", "group_select", "fallback", "strip"],
        required: &[],
        doc: "what a regular expression finds",
        build: filters::regex,
    },
    FilterRow {
        name: "multi_choice_regex",
        kwargs: &[
            "regex_pattern",
            "group_select",
            "fallback",
            "ignore_case",
            "ignore_punctuation",
            "regexes_to_ignore",
        ],
        required: &[],
        doc: "the letter of a choice, as `(A)`: by pattern, by the choice's text, or after a colon",
        build: filters::multi_choice_regex,
    },
    FilterRow {
        name: "choice_letter",
        kwargs: &[],
        required: &[],
        doc: "the label of the choice that a text names; nothing where it names none or several",
        build: filters::choice_letter,
    },
    FilterRow {
        name: "likeliest_label",
        kwargs: &[],
        required: &[],
        doc: "the label that is the likeliest first token of the answer",
        build: filters::likeliest_label,
    },
    FilterRow {
        name: "regex_pos",
        kwargs: &["regex_pattern", "group_select", "fallback"],
        required: &[],
        doc: "the tags of a list of ('token', 'TAG') pairs",
        build: filters::regex_pos,
    },
    FilterRow {
        name: "format_span",
        kwargs: &[],
        required: &[],
        doc: "named entities in one form: `label: value $ label: value`",
        build: filters::format_span,
    },
    FilterRow {
        name: "remove_whitespace",
        kwargs: &[],
        required: &[],
        doc: "without white space at both ends",
        build: filters::remove_whitespace,
    },
    FilterRow {
        name: "until_fence",
        kwargs: &[],
        required: &[],
        doc: "what stands before the first Markdown code fence",
        build: filters::until_fence,
    },
    FilterRow {
        name: "code_block",
        kwargs: &[],
        required: &[],
        doc: "the program in an answer: before the fence that closes the prompt's block, or the first block, or all of it",
        build: filters::code_block,
    },
    FilterRow { name: "lowercase", kwargs: &[], required: &[], doc: "in lower case", build: filters::lowercase },
    FilterRow { name: "uppercase", kwargs: &[], required: &[], doc: "in upper case", build: filters::uppercase },
    FilterRow {
        name: "map",
        kwargs: &["mapping_dict", "default_value"],
        required: &[],
        doc: "the value that a table has for the answer",
        build: filters::map,
    },
    FilterRow {
        name: "decontaminate",
        kwargs: &["path"],
        required: &["path"],
        doc: "no effect, as in the reference",
        build: filters::decontaminate,
    },
];

/// The filter of this name.
pub fn filter(name: &str) -> Option<&'static FilterRow> {
    FILTERS.iter().find(|row| row.name == name)
}
