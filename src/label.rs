//! Labels under which the choices of a question are put: letters, or what the task itself calls its choices.

/// `A`, `B`, ... for so many choices; `None` where the alphabet ends.
pub fn letters(count: usize) -> Option<Vec<String>> {
    (count <= 26).then(|| ('A'..='Z').take(count).map(String::from).collect())
}

/// The labels that choices are themselves: each is a single letter or digit (white space around it aside), no two alike.
pub fn own(choices: &[String]) -> Option<Vec<String>> {
    let mut labels: Vec<String> = Vec::with_capacity(choices.len());
    for choice in choices {
        let label = crate::python::text::strip(choice);
        let mut chars = label.chars();
        let single = chars.next().is_some_and(char::is_alphanumeric) && chars.next().is_none();
        if !single || labels.iter().any(|known| known.to_lowercase() == label.to_lowercase()) {
            return None;
        }
        labels.push(label.to_owned());
    }
    (!labels.is_empty()).then_some(labels)
}

/// Whether a question lists options under all of these labels: `A. ...`, `(A) ...`, `A: ...`.
pub fn are_listed(labels: &[String], question: &str) -> bool {
    const MARKS: &[char] = &['.', ')', ':', ']', '}', '、', '．', '：', '）'];
    let opens = |c: char| c.is_whitespace() || matches!(c, '(' | '[' | '{' | '*' | '（');
    labels.iter().all(|label| {
        question.match_indices(label.as_str()).any(|(at, _)| {
            let before = question.get(..at).unwrap_or_default();
            let after = question.get(at + label.len()..).unwrap_or_default();
            before.chars().next_back().is_none_or(opens) && after.starts_with(MARKS)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| text.to_string()).collect()
    }

    #[test]
    fn letters_end_with_the_alphabet() {
        assert_eq!(letters(3), Some(texts(&["A", "B", "C"])));
        assert_eq!(letters(26).unwrap().last().unwrap(), "Z");
        assert_eq!(letters(27), None);
    }

    #[test]
    fn choices_that_are_labels() {
        assert_eq!(own(&texts(&["A", " B", "C "])), Some(texts(&["A", "B", "C"])));
        assert_eq!(own(&texts(&["1", "2"])), Some(texts(&["1", "2"])));
        for none in [&["A", "BB"][..], &["A", "A"], &["a", "A"], &["A", ""], &["A", "."], &[]] {
            assert_eq!(own(&texts(none)), None, "{none:?}");
        }
    }

    #[test]
    fn questions_that_list_their_labels() {
        let abcd = texts(&["A", "B", "C", "D"]);
        assert!(are_listed(&abcd, "Which?\nA. one\nB. two\nC. three\nD. four\nAnswer:"));
        assert!(are_listed(&abcd, "Which? (A) one (B) two (C) three (D) four"));
        assert!(!are_listed(&abcd, "Which?\nA. one\nB. two\nC. three"));
        assert!(!are_listed(&texts(&["1", "2"]), "What is 3 - 2 = 1 + 0?"));
        assert!(!are_listed(&texts(&["1", "2"]), "11. and 2) are"));
    }
}
