//! Filters that take a program out of Markdown.

use super::Filter;
use crate::error::Result;
use crate::score::kwargs::Kwargs;

/// The mark that opens and closes a block of code.
const FENCE: &str = "```";

/// What stands before the first code fence; all of an answer without one. For prompts that end within an open block. Reference: the
/// filter of `humaneval_instruct`.
///
/// Misleads when the model opens a block of its own: nothing is left.
pub fn until_fence(_: Kwargs<'_>) -> Result<Filter> {
    Ok(Box::new(|answers, _| {
        answers.map_text("until_fence", |text| text.split(FENCE).next().unwrap_or_default().to_owned())
    }))
}

/// The program in an answer, whether it begins within a block that the prompt opened (an odd number of fences: what stands before the
/// first one), holds blocks of its own (an even number: the first one), or has no fence at all (all of it).
///
/// The reference's `mbpp_instruct` puts a fence before the answer and reads the answer's first word as the language's name, so that
/// `def f(): ...` loses its `def`, and takes an unclosed block as empty; here neither is so, and figures of instruct forms differ.
pub fn code_block(_: Kwargs<'_>) -> Result<Filter> {
    Ok(Box::new(|answers, _| answers.map_text("code_block", |text| program(text).to_owned())))
}

fn program(text: &str) -> &str {
    let parts: Vec<&str> = text.split(FENCE).collect();
    match parts.as_slice() {
        // A number of parts is one more than of fences.
        [_, block, ..] if parts.len() % 2 == 1 => block.split_once('\n').map_or(*block, |(_language, code)| code),
        [before, ..] => before,
        [] => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::apply;
    use super::*;
    use serde_json::json;

    /// Expected values: `build_predictions_instruct` of lm_eval 0.4.13 (without the prompt) on the same texts.
    #[test]
    fn cuts_at_a_fence() {
        let answers = json!(["  return 1\n```\nThat is it", "return 2", "```python\nx"]);
        assert_eq!(apply(until_fence, json!({}), answers), json!(["  return 1\n", "return 2", ""]));
    }

    #[test]
    fn finds_the_program() {
        let answers = json!([
            "def f():\n  return 1\n```\nand\n```python\ng()\n```",
            "Sure:\n```python\ndef f(): pass\n```\nDone",
            "```\ndef f(): pass\n```",
            "def f(): pass",
            "def f(): pass\n```",
            "",
        ]);
        let code = "def f(): pass\n";
        let expected = json!(["def f():\n  return 1\n", code, code, "def f(): pass", code, ""]);
        assert_eq!(apply(code_block, json!({}), answers), expected);
    }
}
