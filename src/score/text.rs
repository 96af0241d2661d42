//! Metrics of generated text.

use super::kwargs::Kwargs;
use super::observed::Text;
use super::pattern::Pattern;
use crate::error::Result;
use crate::item::Target;
use crate::python::text::strip;
use crate::request::Unscored;
use crate::sample::Score;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// A metric of generated text with its arguments.
pub type TextMetric = Box<dyn Fn(&Text<'_>) -> Score + Send + Sync>;

/// What `exact_match` leaves out before it compares.
struct Ignore {
    patterns: Vec<Arc<Pattern>>,
    case: bool,
    punctuation: bool,
    numbers: bool,
}

impl Ignore {
    /// In the reference's order: patterns, case, ASCII punctuation, ASCII digits.
    fn clean(&self, text: &str) -> Result<String, Unscored> {
        let mut text = text.to_owned();
        for pattern in &self.patterns {
            text = pattern.remove_from(&text)?;
        }
        if self.case {
            text = text.to_lowercase();
        }
        text.retain(|c| !(self.punctuation && c.is_ascii_punctuation() || self.numbers && c.is_ascii_digit()));
        Ok(text)
    }
}

/// 1 when the answer equals a right one after `regexes_to_ignore`, `ignore_case`, `ignore_punctuation` and
/// `ignore_numbers` were applied to both sides. Several right answers: any. A list of answers against one right answer: the
/// share that is right. Reference: `exact_match_hf_evaluate`.
///
/// Misleads without a filter that isolates the answer, and with blanks at the ends, which count.
pub fn exact_match(kwargs: Kwargs<'_>) -> Result<TextMetric> {
    let ignore = Ignore {
        patterns: kwargs.patterns("regexes_to_ignore")?,
        case: kwargs.flag("ignore_case")?,
        punctuation: kwargs.flag("ignore_punctuation")?,
        numbers: kwargs.flag("ignore_numbers")?,
    };
    Ok(Box::new(move |text| {
        let (golds, any) = right_answers(text.target, text.choices);
        let share = golds.iter().try_fold(0.0f64, |best, gold| Ok(best.max(share(text.answer, gold, &ignore)?)));
        match share {
            Ok(share) => Score::Value(if any && share > 0.0 { 1.0 } else { share }),
            Err(unscored) => Score::Unscored(unscored),
        }
    }))
}

/// No score at all: the answers are only wanted in the samples file. Aggregates to 999, as in the reference.
pub fn bypass(_: Kwargs<'_>) -> Result<TextMetric> {
    Ok(Box::new(|_| Score::Value(f64::NAN)))
}

/// The texts that count as right, and whether the target is a list of them. An index that is not among the choices gives
/// none: no answer is right.
pub(super) fn right_answers<'a>(target: &'a Target, choices: &'a [String]) -> (Vec<Cow<'a, str>>, bool) {
    let choice = |index: &i64| -> Option<Cow<'a, str>> {
        if choices.is_empty() {
            return Some(Cow::Owned(index.to_string()));
        }
        usize::try_from(*index).ok().and_then(|index| choices.get(index)).map(|text| Cow::Borrowed(text.as_str()))
    };
    match target {
        Target::Index(index) => (choice(index).into_iter().collect(), false),
        Target::Indices(indices) => (indices.iter().filter_map(choice).collect(), true),
        Target::Text(text) => (vec![Cow::Borrowed(text)], false),
        Target::Texts(texts) => (texts.iter().map(|text| Cow::Borrowed(text.as_str())).collect(), true),
    }
}

/// 1 or 0, or for a list of answers the share that equals `gold`. The right answer is read as the answer's type.
fn share(answer: &Value, gold: &str, ignore: &Ignore) -> Result<f64, Unscored> {
    let equal = match answer {
        Value::String(text) => ignore.clean(text)? == ignore.clean(gold)?,
        Value::Number(number) => strip(gold).parse().ok() == number.as_f64(),
        Value::Bool(true) => gold == "True",
        Value::Bool(false) => gold == "False",
        Value::Array(answers) if !answers.is_empty() => {
            let shares = answers.iter().map(|answer| share(answer, gold, ignore)).collect::<Result<Vec<_>, _>>()?;
            return Ok(shares.iter().sum::<f64>() / answers.len() as f64);
        }
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    Ok(f64::from(u8::from(equal)))
}

#[cfg(test)]
mod tests {
    //! Expected values: `exact_match_hf_evaluate` and `process_results` of lm_eval 0.4.13 on the same texts.
    use super::*;
    use serde_json::json;

    fn score(kwargs: Value, answer: Value, target: Target, choices: &[String]) -> Score {
        let metric = exact_match(Kwargs(kwargs.as_object().unwrap())).unwrap();
        metric(&Text { answer: &answer, target: &target, choices })
    }

    fn matches(kwargs: Value, answer: &str, gold: &str) -> bool {
        score(kwargs, json!(answer), Target::Text(gold.into()), &[]) == Score::Value(1.0)
    }

    /// What the reference makes of a gold answer that is no choice. (Prompts refuse such data; scores stay sound all the same.)
    const OUT_OF_RANGE: i64 = -100;

    #[test]
    fn ignores_what_it_is_told_to() {
        let all = json!({"ignore_case": true, "ignore_punctuation": true, "ignore_numbers": true});
        assert!(matches(all.clone(), "A, b.c12", "a bc"));
        assert!(!matches(all, "A, b.c 12", "a bc"));
        assert!(!matches(json!({}), "x ", "x"));
        assert!(!matches(json!({"ignore_case": false}), "X", "x"));
        let gsm8k = json!({"regexes_to_ignore": [",", r"\$", "(?s).*#### ", r"\.$"], "ignore_case": true});
        assert!(matches(gsm8k, "$1,234.", "so\n#### 1234"));
    }

    #[test]
    fn any_of_several_targets() {
        let golds = Target::Texts(vec!["Paris".into(), "paris, France".into()]);
        assert_eq!(score(json!({}), json!("Paris"), golds.clone(), &[]), Score::Value(1.0));
        assert_eq!(score(json!({}), json!("Rome"), golds.clone(), &[]), Score::Value(0.0));
        assert_eq!(score(json!({}), json!(["Rome", "Paris"]), golds, &[]), Score::Value(1.0));
    }

    #[test]
    fn gold_takes_the_type_of_the_answer() {
        assert_eq!(score(json!({}), json!(2), Target::Text("2".into()), &[]), Score::Value(1.0));
        assert_eq!(score(json!({}), json!(2), Target::Text("two".into()), &[]), Score::Value(0.0));
        assert_eq!(score(json!({}), json!("18"), Target::Index(18), &[]), Score::Value(1.0));
        assert_eq!(score(json!({}), json!(null), Target::Text("None".into()), &[]), Score::Value(0.0));
    }

    #[test]
    fn indices_stand_for_choices() {
        let choices = ["no".to_owned(), "yes".to_owned()];
        assert_eq!(score(json!({}), json!("yes"), Target::Index(1), &choices), Score::Value(1.0));
        assert_eq!(score(json!({}), json!("yes"), Target::Index(OUT_OF_RANGE), &choices), Score::Value(0.0));
        assert_eq!(score(json!({}), json!("no"), Target::Indices(vec![0, 1]), &choices), Score::Value(1.0));
    }

    #[test]
    fn a_list_of_answers_scores_its_share() {
        let Score::Value(share) = score(json!({}), json!(["a", "b", "a"]), Target::Text("a".into()), &[]) else {
            panic!("a list is scored")
        };
        assert_eq!(share, 0.6666666666666666);
    }

    #[test]
    fn bad_arguments_are_refused() {
        for bad in
            [json!({"ignore_case": "yes"}), json!({"regexes_to_ignore": ["("]}), json!({"regexes_to_ignore": ","})]
        {
            assert!(exact_match(Kwargs(bad.as_object().unwrap())).is_err(), "{bad}");
        }
    }
}
