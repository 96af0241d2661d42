//! What a model thought, told apart from what it answered: for servers and for models in this process.

/// How models write thoughts into their texts: what opens and what closes one. The opening may stand in the chat template, and is then
/// not part of the text.
const TAGS: &[(&str, &str)] = &[
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("◁think▷", "◁/think▷"),
];

/// What opens and what closes a thought.
pub type Tag = (&'static str, &'static str);

/// How a text begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// With a thought.
    Thought(Tag),
    /// So few characters that it may become one.
    Unclear,
    /// With an answer.
    Answer,
}

/// How a text begins that is being written.
pub fn beginning(text: &str) -> Beginning {
    let begun = text.trim_start();
    match TAGS.iter().find(|(open, _)| begun.starts_with(open)) {
        Some(tag) => Beginning::Thought(*tag),
        None if TAGS.iter().any(|(open, _)| open.starts_with(begun)) => Beginning::Unclear,
        None => Beginning::Answer,
    }
}

/// The thought that a prompt begins for the model.
pub fn begun_by(prompt: &str) -> Option<Tag> {
    let prompt = prompt.trim_end();
    TAGS.iter().find(|(open, _)| prompt.ends_with(open)).copied()
}

/// What stands behind the end of a thought: of that tag, or of any where the beginning was not seen.
pub fn behind(text: &str, tag: Option<Tag>) -> Option<&str> {
    match tag {
        Some((_, close)) => text.split_once(close).map(|(_, behind)| behind),
        None => TAGS.iter().find_map(|(_, close)| text.split_once(close).map(|(_, behind)| behind)),
    }
}

/// A thought without its tags.
pub fn bare(thought: &str) -> &str {
    let thought = thought.trim();
    let thought = TAGS.iter().find_map(|(open, _)| thought.strip_prefix(open)).unwrap_or(thought);
    TAGS.iter().find_map(|(_, close)| thought.split_once(close)).map_or(thought, |(thought, _)| thought).trim()
}

/// Bytes of the longest tag.
pub const LONGEST_TAG: usize = 20;

/// Why an answer is none that ends inside of a thought after so many tokens; `cut_off`: because it was long enough.
pub fn unfinished(tokens: usize, cut_off: bool) -> String {
    match cut_off {
        true => format!("the thought was cut off after {tokens} tokens: raise max_gen_toks or --reasoning-tokens"),
        false => "the model stopped in the middle of its thought, or behind it without an answer".to_string(),
    }
}

/// A text, parted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parted {
    Answer {
        text: String,
        thought: Option<String>,
    },
    /// The text ends inside of a thought.
    Unfinished,
}

/// Parts a text. `field`: a thought that came in a field of its own. `reasoning`: whether the model thinks; `None`: as the text shows.
/// `cut_off`: the text ends because it was long enough.
pub fn part(text: &str, field: Option<String>, reasoning: Option<bool>, cut_off: bool) -> Parted {
    let field = field.filter(|thought| !thought.trim().is_empty());
    if reasoning == Some(false) {
        return Parted::Answer { text: text.to_string(), thought: field };
    }
    let begun = text.trim_start();
    for (open, close) in TAGS {
        let inside = begun.strip_prefix(open);
        if let Some((thought, answer)) = inside.unwrap_or(text).split_once(close)
            && (inside.is_some() || !thought.contains(open))
        {
            return Parted::Answer { text: answer.trim_start().to_string(), thought: both(field, thought) };
        }
        if inside.is_some() {
            return Parted::Unfinished;
        }
    }
    let silent = begun.is_empty();
    match field {
        Some(_) if silent && cut_off => Parted::Unfinished,
        // Nothing shows where the thought ends, if it does.
        None if reasoning == Some(true) && cut_off => Parted::Unfinished,
        // Line breaks that stood between thought and answer belong to neither: stop strings must not find them.
        Some(thought) => Parted::Answer { text: text.trim_start().to_string(), thought: Some(thought) },
        None => Parted::Answer { text: text.to_string(), thought: None },
    }
}

/// Whether a text or a field shows that a model thinks.
pub fn shows(text: &str, field: Option<&str>) -> bool {
    let begins = |(open, _): &(&str, &str)| text.trim_start().starts_with(open);
    let ends = |(_, close): &(&str, &str)| text.contains(close);
    field.is_some_and(|thought| !thought.trim().is_empty()) || TAGS.iter().any(|tag| begins(tag) || ends(tag))
}

fn both(field: Option<String>, thought: &str) -> Option<String> {
    let thought = Some(thought.trim()).filter(|thought| !thought.is_empty());
    match (field, thought) {
        (Some(field), Some(thought)) => Some(format!("{field}\n{thought}")),
        (field, thought) => field.or(thought.map(str::to_string)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (&'static str, Option<&'static str>, Option<bool>, bool, Option<(&'static str, Option<&'static str>)>);

    #[rustfmt::skip]
    const CASES: &[Case] = &[
        // text, field, reasoning, cut off -> answer and thought; None: unfinished
        ("42", None, None, false, Some(("42", None))),
        ("<think>\nhm\n</think>\n\n42", None, None, false, Some(("42", Some("hm")))),
        ("\n<think>hm</think>42", None, Some(true), true, Some(("42", Some("hm")))),
        ("hm\n</think>\n42", None, None, false, Some(("42", Some("hm")))),
        ("[THINK]a[/THINK]b", None, None, false, Some(("b", Some("a")))),
        ("<think></think>\n42", None, None, false, Some(("42", None))),
        ("<think>hm", None, None, true, None),
        ("<think>hm", None, None, false, None),
        ("hm and so on", None, Some(true), true, None),
        ("hm and so on", None, Some(true), false, Some(("hm and so on", None))),
        ("hm and so on", None, None, true, Some(("hm and so on", None))),
        ("\n\n42", Some("hm"), None, false, Some(("42", Some("hm")))),
        ("42", Some("hm"), None, true, Some(("42", Some("hm")))),
        ("", Some("hm"), None, true, None),
        ("", Some("hm"), None, false, Some(("", Some("hm")))),
        ("42", Some("  "), None, false, Some(("42", None))),
        ("<think>b</think>42", Some("a"), None, false, Some(("42", Some("a\nb")))),
        ("<think>hm</think>42", None, Some(false), false, Some(("<think>hm</think>42", None))),
        ("x <think>hm</think> 42", None, None, false, Some(("x <think>hm</think> 42", None))),
        ("<think>a</think>b</think>c", None, None, false, Some(("b</think>c", Some("a")))),
    ];

    #[test]
    fn thoughts_are_told_from_answers() {
        for (text, field, reasoning, cut_off, expected) in CASES {
            let found = part(text, field.map(str::to_string), *reasoning, *cut_off);
            let expected = match expected {
                Some((text, thought)) => {
                    Parted::Answer { text: text.to_string(), thought: thought.map(str::to_string) }
                }
                None => Parted::Unfinished,
            };
            assert_eq!(found, expected, "{text:?} {field:?} {reasoning:?} {cut_off}");
        }
    }

    #[test]
    fn thoughts_begin_and_end() {
        let tag = ("<think>", "</think>");
        assert_eq!(beginning("\n<think>hm"), Beginning::Thought(tag));
        assert_eq!((beginning(" <thi"), beginning("")), (Beginning::Unclear, Beginning::Unclear));
        assert_eq!(beginning("42 <think>"), Beginning::Answer);
        assert_eq!((begun_by("assistant\n<think>\n"), begun_by("<think>\n\n</think>\n")), (Some(tag), None));
        assert_eq!(behind("a</think>\n42", Some(tag)), Some("\n42"));
        assert_eq!((behind("a[/THINK]b", None), behind("a[/THINK]b", Some(tag))), (Some("b"), None));
        assert_eq!((bare("<think>\nhm\n</think>x"), bare(" hm </think>")), ("hm", "hm"));
        assert!(TAGS.iter().all(|(open, close)| open.len() <= LONGEST_TAG && close.len() <= LONGEST_TAG));
    }

    #[test]
    fn thinking_shows() {
        assert!(shows("<think>well", None) && shows("so</think>", None) && shows("", Some("hm")));
        assert!(!shows("yes", Some(" ")) && !shows("a < b", None));
    }
}
