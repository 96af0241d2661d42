//! Result functions and metrics of written answers that compare more than texts: TruthfulQA's nearness, MATH's answers, SQuAD-like rules,
//! sentiment.

use super::kwargs::Kwargs;
use super::observed::{Observed, Text};
use super::overlap::answer::AnswerRules;
use super::overlap::truthful::{references, true_references, truthfulness};
use super::sentiment::vader;
use super::text::{TextMetric, right_answers};
use crate::error::Result;
use crate::maths::{agieval_equal, boxed_answer, hendrycks_answer, hendrycks_equal};
use crate::request::Unscored;
use crate::sample::Score;
use serde_json::{Map, Value};

/// What `truthfulqa_gen` gives, in the reference's order.
pub const TRUTHFULQA_GIVES: &[&str] = &[
    "bleu_max",
    "bleu_acc",
    "bleu_diff",
    "rouge1_max",
    "rouge1_acc",
    "rouge1_diff",
    "rouge2_max",
    "rouge2_acc",
    "rouge2_diff",
    "rougeL_max",
    "rougeL_acc",
    "rougeL_diff",
];

/// `truthfulqa_gen(true_answers, false_answers)`: BLEU and ROUGE of the answer against the likest true and the likest false reference
/// (Lin et al. 2021): the best true score, whether it is above the best false one, and by how much. Reference: `process_results_gen`.
///
/// Misleads on answers that are true in other words than the references', and on long ones, which share words with everything.
pub fn truthfulqa_gen(observed: &Observed<'_>, args: &Map<String, Value>) -> Result<Vec<Score>, Unscored> {
    let answer = text("truthfulqa_gen", observed)?;
    let list = |name: &str| -> Result<Vec<&str>, Unscored> {
        let list = args.get(name).and_then(Value::as_array).map(|list| list.iter().map(Value::as_str).collect());
        list.flatten().ok_or_else(|| Unscored::new(format!("`truthfulqa_gen` needs a list of texts `{name}`")))
    };
    let (trues, falses) = (true_references(&list("true_answers")?), references(&list("false_answers")?));
    let found = truthfulness(answer, &trues, &falses).map_err(|err| Unscored::new(err.message()))?;
    Ok(found.named().into_iter().map(|(_, value)| Score::Value(value)).collect())
}

/// `hendrycks_math(solution)`: the text between the first and the last `$` of the answer equals the boxed answer of the solution after the
/// clean-up of Hendrycks et al. (2021). Reference: `hendrycks_math/utils.py`.
///
/// Misleads on answers that are equal in another form (`0.5` and `1/2` are, `x+1` and `1+x` are not).
pub fn hendrycks_math(observed: &Observed<'_>, args: &Map<String, Value>) -> Result<Vec<Score>, Unscored> {
    let answer = text("hendrycks_math", observed)?;
    let gold = boxed_answer(argument("hendrycks_math", args, "solution")?)
        .map_err(|err| Unscored::new(format!("the right answer cannot be read: {err}")))?;
    Ok(vec![Score::Value(f64::from(u8::from(hendrycks_equal(hendrycks_answer(answer), &gold))))])
}

/// `agieval_math(answer)`: the answer's last formula equals the right one after the clean-up of MATH. Reference: `agieval/utils.py`.
///
/// Misleads on answers that go on after the result: the last formula counts.
pub fn agieval_math(observed: &Observed<'_>, args: &Map<String, Value>) -> Result<Vec<Score>, Unscored> {
    let answer = text("agieval_math", observed)?;
    let equal = agieval_equal(answer, argument("agieval_math", args, "answer")?);
    Ok(vec![Score::Value(f64::from(u8::from(equal)))])
}

fn text<'a>(function: &str, observed: &Observed<'a>) -> Result<&'a str, Unscored> {
    match observed {
        Observed::Text(Text { answer: Value::String(text), .. }) => Ok(text),
        _ => {
            Err(Unscored::new(format!("`{function}` needs one written answer: let the filters end with `take_first`")))
        }
    }
}

/// A text, or a list of one: templates give texts of any content as `{{ [field] }}`.
fn argument<'a>(function: &str, args: &'a Map<String, Value>, name: &str) -> Result<&'a str, Unscored> {
    let value = args.get(name);
    let one = value.and_then(Value::as_array).filter(|list| list.len() == 1).and_then(|list| list.first());
    one.or(value).and_then(Value::as_str).ok_or_else(|| Unscored::new(format!("`{function}` needs a text `{name}`")))
}

/// 1 when the answer equals a right one by SQuAD's rules (lower case, no punctuation, no articles, blanks squeezed). Rajpurkar et al. (2016).
///
/// Misleads where the answer stands in a sentence, and outside of English.
pub fn squad_em(_: Kwargs<'_>) -> Result<TextMetric> {
    Ok(by_rules(AnswerRules::SquadV1, false))
}

/// F1 of the words that the answer shares with the right one that is likest to it, by SQuAD's rules.
pub fn squad_f1(_: Kwargs<'_>) -> Result<TextMetric> {
    Ok(by_rules(AnswerRules::SquadV1, true))
}

/// 1 when the answer equals an alias by TriviaQA's rules: as SQuAD's, but punctuation becomes a blank. Joshi et al. (2017).
pub fn triviaqa_em(_: Kwargs<'_>) -> Result<TextMetric> {
    Ok(by_rules(AnswerRules::TriviaQa, false))
}

/// F1 of the words that the answer shares with the alias that is likest to it, by TriviaQA's rules.
pub fn triviaqa_f1(_: Kwargs<'_>) -> Result<TextMetric> {
    Ok(by_rules(AnswerRules::TriviaQa, true))
}

/// 1 when the answer equals a right one by the rules of open-domain question answering: SQuAD's after canonical decomposition. Lee et al.
/// (2019).
pub fn nq_open_em(_: Kwargs<'_>) -> Result<TextMetric> {
    Ok(by_rules(AnswerRules::NqOpen, false))
}

fn by_rules(rules: AnswerRules, f1: bool) -> TextMetric {
    Box::new(move |text| {
        let Value::String(answer) = text.answer else {
            return Score::Unscored(Unscored::new(
                "expected one written answer: let the filters end with `take_first`",
            ));
        };
        let (golds, _) = right_answers(text.target, text.choices);
        match rules.best(answer, &golds) {
            Ok(best) if f1 => Score::Value(best.f1),
            Ok(best) => Score::Value(f64::from(u8::from(best.exact))),
            Err(err) => Score::Unscored(Unscored::new(err.message())),
        }
    })
}

/// The compound sentiment of the answer by VADER, -1 (negative) to 1 (positive); of a list of answers their mean. Hutto and Gilbert (2014).
///
/// Misleads outside of English and on irony; says nothing about toxicity.
pub fn vader_compound(_: Kwargs<'_>) -> Result<TextMetric> {
    fn mean(answer: &Value) -> Option<f64> {
        match answer {
            Value::String(text) => Some(vader(text).compound),
            Value::Array(answers) if !answers.is_empty() => {
                let values = answers.iter().map(mean).collect::<Option<Vec<f64>>>()?;
                Some(values.iter().sum::<f64>() / values.len() as f64)
            }
            _ => None,
        }
    }
    Ok(Box::new(|text| match mean(text.answer) {
        Some(value) => Score::Value(value),
        None => Score::Unscored(Unscored::new("there is no text whose sentiment could be told")),
    }))
}

#[cfg(test)]
mod tests {
    //! That the functions of `overlap`, `maths` and `sentiment` get the right parts; their values are tested there.
    use super::*;
    use crate::item::Target;
    use serde_json::json;

    fn of(metric: fn(Kwargs<'_>) -> Result<TextMetric>, answer: Value, target: &[&str]) -> Score {
        let target = Target::Texts(target.iter().map(|text| text.to_string()).collect());
        metric(Kwargs(&Map::new())).unwrap()(&Text { answer: &answer, target: &target, choices: &[] })
    }

    fn function(function: super::super::ResultMeasure, answer: &str, args: Value) -> Result<Vec<Score>, Unscored> {
        let (answer, target) = (json!(answer), Target::Text(String::new()));
        let observed = Observed::Text(Text { answer: &answer, target: &target, choices: &[] });
        function(&observed, args.as_object().unwrap())
    }

    #[test]
    fn answers_by_rules() {
        assert_eq!(of(squad_em, json!("The U.K."), &["France", "uk"]), Score::Value(1.0));
        assert_eq!(of(triviaqa_em, json!("the u.k."), &["uk"]), Score::Value(0.0));
        assert_eq!(of(triviaqa_em, json!("the u.k."), &["U-K"]), Score::Value(1.0));
        assert_eq!(of(squad_f1, json!("New York City"), &["York", "x"]), Score::Value(0.5));
        assert!(matches!(of(squad_em, json!("x"), &[]), Score::Unscored(_)));
        assert!(matches!(of(squad_em, json!(["x"]), &["x"]), Score::Unscored(_)));
    }

    #[test]
    fn sentiment_of_one_or_several() {
        let (Score::Value(good), Score::Value(bad)) =
            (of(vader_compound, json!("I love it"), &["x"]), of(vader_compound, json!("I hate it"), &["x"]))
        else {
            panic!()
        };
        assert!(good > 0.5 && bad < -0.5);
        assert_eq!(of(vader_compound, json!(["I love it", "I hate it"]), &["x"]), Score::Value((good + bad) / 2.0));
        assert!(matches!(of(vader_compound, Value::Null, &["x"]), Score::Unscored(_)));
    }

    #[test]
    fn nearness_to_true_and_false() {
        let args = json!({"true_answers": ["Nothing happens."], "false_answers": ["You die"]});
        let scores = function(truthfulqa_gen, "Nothing happens.", args.clone()).unwrap();
        assert_eq!(scores.len(), TRUTHFULQA_GIVES.len());
        assert_eq!(scores[4], Score::Value(1.0), "rouge1_acc");
        assert!(function(truthfulqa_gen, "x", json!({"true_answers": "x"})).is_err());
    }

    #[test]
    fn maths() {
        let args = json!({"solution": [r"So it is $\boxed{\frac{1}{2}}$."]});
        assert_eq!(function(hendrycks_math, r"It is $\frac12$.", args.clone()), Ok(vec![Score::Value(1.0)]));
        assert_eq!(function(hendrycks_math, r"It is $2$.", args), Ok(vec![Score::Value(0.0)]));
        assert!(
            function(hendrycks_math, "2", json!({"solution": ["no box"]})).unwrap_err().reason.contains("no closed")
        );
        assert_eq!(
            function(agieval_math, r"The answer is $\boxed{7}$", json!({"answer": "7"})),
            Ok(vec![Score::Value(1.0)])
        );
    }
}
