//! Thoughts apart from answers.

/// How models mark their thoughts in a text: beginning and end.
const MARKS: &[(&str, &str)] = &[
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>"),
];

/// An answer and what was thought before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub answer: String,
    pub thought: Option<String>,
}

/// Takes an answer apart. `field`: the thought where the server gives it by itself; `always`: the model is known to think, so a text that
/// was cut off before any end of a thought is one. `Err`: the thought was cut off, and there is no answer.
pub fn apart(text: String, field: Option<String>, cut_off: bool, always: bool) -> Result<Told, ()> {
    if let Some(thought) = field {
        if text.trim().is_empty() && cut_off {
            return Err(());
        }
        return Ok(Told { answer: text, thought: Some(thought) });
    }
    for (begin, end) in MARKS {
        let trimmed = text.trim_start();
        if let Some(inside) = trimmed.strip_prefix(begin) {
            return match inside.split_once(end) {
                Some((thought, answer)) => Ok(told(thought, answer)),
                None => Err(()),
            };
        }
        // The template opened the thought; only its end is in the text.
        if let Some((thought, answer)) = text.split_once(end) {
            return Ok(told(thought, answer));
        }
    }
    if always && cut_off {
        return Err(());
    }
    Ok(Told { answer: text, thought: None })
}

fn told(thought: &str, answer: &str) -> Told {
    Told { answer: answer.trim_start().to_string(), thought: Some(thought.trim().to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, cut_off: bool) -> Result<(String, Option<String>), ()> {
        apart(text.into(), None, cut_off, false).map(|told| (told.answer, told.thought))
    }

    #[test]
    fn thoughts_in_the_text() {
        let cases = [
            ("<think>\nhm\n</think>\n\nB", "B", Some("hm")),
            ("  <think></think>B", "B", Some("")),
            ("hm, so\n</think>\nB", "B", Some("hm, so")),
            ("[THINK]x[/THINK]The answer", "The answer", Some("x")),
            ("just an answer with < and think", "just an answer with < and think", None),
            (
                "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>B",
                "B",
                Some("x<|end|>"),
            ),
        ];
        for (text, answer, thought) in cases {
            assert_eq!(split(text, false), Ok((answer.to_string(), thought.map(String::from))), "{text}");
        }
    }

    #[test]
    fn a_thought_that_was_cut_off_is_no_answer() {
        assert_eq!(split("<think>hm", true), Err(()));
        assert_eq!(split("<think>hm", false), Err(()));
        assert_eq!(split("an answer", true), Ok(("an answer".into(), None)));
        assert!(apart("hm".into(), None, true, true).is_err(), "a model that is known to think");
        assert!(apart("".into(), Some("hm".into()), true, false).is_err());
        assert!(apart("".into(), Some("hm".into()), false, false).is_ok(), "an empty answer is one");
    }
}
