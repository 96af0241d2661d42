//! Which output of a classifier is the toxicity.

use crate::error::{Error, Result, nearest};

/// Names that stand for all kinds of toxicity: where there is one, it is the one.
const WHOLE: &[&str] = &["toxic", "toxicity", "istoxic"];

/// Names of kinds of it: the one, if there is one only.
const KINDS: &[&str] = &["hate", "hateful", "hatespeech", "offensive", "abusive", "abuse", "offensivelanguage", "off"];

/// The index of the toxicity. `asked`: the label that the user names, by its name or index.
///
/// Without that: a label called toxic or toxicity; else the only one that names a kind of toxicity (hate, offensive, ...); else the only
/// label; else `LABEL_1` of `LABEL_0` and `LABEL_1`. Anything else is an error that lists the labels.
pub fn choose(labels: &[String], asked: Option<&str>) -> Result<usize> {
    let plain: Vec<String> = labels.iter().map(|label| plain(label)).collect();
    let all = || format!("its labels are: {}", labels.join(", "));
    if let Some(asked) = asked {
        let exact = labels.iter().position(|label| label == asked);
        let found = exact.or_else(|| only(&plain, &[&self::plain(asked)]));
        let found = found.or_else(|| asked.parse().ok().filter(|index: &usize| *index < labels.len()));
        return found.ok_or_else(|| {
            let near = nearest(asked, labels.iter().map(String::as_str));
            let hint = near.map_or_else(all, |near| format!("did you mean `{near}`? {}", all()));
            Error::input(format!("the classifier has no label `{asked}`")).hint(hint)
        });
    }
    let guess = only(&plain, WHOLE).or_else(|| only(&plain, KINDS));
    let guess = guess.or_else(|| (labels.len() == 1).then_some(0));
    let guess = guess.or_else(|| (plain == ["label0", "label1"]).then_some(1));
    guess.ok_or_else(|| {
        Error::input("it is not clear which label is the toxicity")
            .hint(format!("{}; say `#label=NAME` behind the address", all()))
    })
}

/// The only label with one of these names.
fn only(plain: &[String], names: &[&str]) -> Option<usize> {
    let mut found = plain.iter().enumerate().filter(|(_, label)| names.contains(&label.as_str()));
    let first = found.next()?.0;
    found.next().is_none().then_some(first)
}

/// A name in small letters and digits only.
fn plain(label: &str) -> String {
    label.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(labels: &[&str], asked: Option<&str>) -> Result<usize> {
        let labels: Vec<String> = labels.iter().map(|label| label.to_string()).collect();
        choose(&labels, asked)
    }

    /// Labels of published classifiers of each kind.
    #[test]
    fn published_labels_are_understood() {
        for (labels, expected) in [
            (&["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"][..], 0),
            (&["toxicity", "severe_toxicity", "obscene", "identity_attack", "insult"], 0),
            (&["neutral", "toxic"], 1),
            (&["non-toxic", "toxic"], 1),
            (&["nothate", "hate"], 1),
            (&["NON_HATE", "HATE"], 1),
            (&["non-offensive", "offensive"], 1),
            (&["LABEL_0", "LABEL_1"], 1),
            (&["LABEL_0"], 0),
        ] {
            assert_eq!(chosen(labels, None).unwrap(), expected, "{labels:?}");
        }
    }

    #[test]
    fn what_is_not_clear_is_asked() {
        for labels in [&["normal", "hatespeech", "offensive"][..], &["a", "b"], &["LABEL_0", "LABEL_1", "LABEL_2"]] {
            let err = chosen(labels, None).unwrap_err().to_string();
            assert!(labels.iter().all(|label| err.contains(label)) && err.contains("#label"), "{err}");
        }
        assert_eq!(chosen(&["normal", "Hate Speech", "offensive"], Some("hate speech")).unwrap(), 1);
        assert_eq!(chosen(&["a", "b"], Some("1")).unwrap(), 1);
        let err = chosen(&["neutral", "toxic"], Some("toxc")).unwrap_err().to_string();
        assert!(err.contains("did you mean `toxic`"), "{err}");
        assert!(chosen(&["a", "b"], Some("2")).is_err());
    }
}
