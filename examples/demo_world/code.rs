//! Tiny Python functions with tests, in the shape of HumanEval.

use super::Part;
use super::dice::Dice;
use serde_json::{Value, json};
use std::collections::HashSet;

/// What a function takes, and arguments that tell right bodies from wrong ones.
#[derive(Clone, Copy)]
enum Takes {
    Number,
    Text,
    List,
}

impl Takes {
    fn names(self) -> &'static [&'static str] {
        match self {
            Takes::Number => &["x", "n", "a", "value", "count"],
            Takes::Text => &["s", "t", "text", "word", "line"],
            Takes::List => &["l", "items", "numbers", "values", "row"],
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Takes::Number => &["0", "1", "5", "12", "30", "77"],
            Takes::Text => &["'a'", "'the old mill'", "'Valley Bells'", "'  banana bread and honey  '"],
            Takes::List => &["[4]", "[3, 1, 2]", "[5, 9, 14, 2, 20]", "[1, 30, 6, 8, 11, 7]"],
        }
    }
}

/// A kind of function: name, what it takes, docstring, body. `V` is the argument, `N` and `M` numbers, `C` a letter.
type Kind = (&'static str, Takes, &'static str, &'static str);

const KINDS: [Kind; 34] = [
    ("plus", Takes::Number, "Return V plus N.", "V + N"),
    ("minus", Takes::Number, "Return V minus N.", "V - N"),
    ("times", Takes::Number, "Return V times N.", "V * N"),
    ("parts", Takes::Number, "Return V divided by N, rounded down.", "V // N"),
    ("rest", Takes::Number, "Return the rest of V divided by N.", "V % N"),
    ("times_plus", Takes::Number, "Return V times N, plus M.", "V * N + M"),
    ("plus_times", Takes::Number, "Return V plus N, all times M.", "(V + N) * M"),
    ("times_minus", Takes::Number, "Return V times N, minus M.", "V * N - M"),
    ("above", Takes::Number, "Return True if V is greater than N.", "V > N"),
    ("below", Takes::Number, "Return True if V is less than N.", "V < N"),
    ("between", Takes::Number, "Return True if V is from N to M.", "N <= V <= M"),
    ("fits", Takes::Number, "Return True if V can be divided by N.", "V % N == 0"),
    ("at_least", Takes::Number, "Return V, but at least N.", "max(V, N)"),
    ("at_most", Takes::Number, "Return V, but at most N.", "min(V, N)"),
    ("distance", Takes::Number, "Return how far V is from N.", "abs(V - N)"),
    ("start", Takes::Text, "Return the first N letters of V.", "V[:N]"),
    ("end", Takes::Text, "Return the last N letters of V.", "V[-N:]"),
    ("without_start", Takes::Text, "Return V without its first N letters.", "V[N:]"),
    ("without_end", Takes::Text, "Return V without its last N letters.", "V[:-N]"),
    ("repeat", Takes::Text, "Return V N times in a row.", "V * N"),
    ("upper", Takes::Text, "Return V in capital letters, N times.", "V.upper() * N"),
    ("lower", Takes::Text, "Return V in small letters, N times.", "V.lower() * N"),
    ("longer", Takes::Text, "Return True if V has more than N letters.", "len(V) > N"),
    ("letters", Takes::Text, "Return how often V has the letter C.", "V.count('C')"),
    ("remove", Takes::Text, "Return V without the letter C.", "V.replace('C', '')"),
    ("has", Takes::Text, "Return True if V has the letter C.", "'C' in V"),
    ("sum_plus", Takes::List, "Return the sum of V, plus N.", "sum(V) + N"),
    ("most_plus", Takes::List, "Return the largest of V, plus N.", "max(V) + N"),
    ("least_plus", Takes::List, "Return the smallest of V, plus N.", "min(V) + N"),
    ("large", Takes::List, "Return the members of V greater than N.", "[i for i in V if i > N]"),
    ("little", Takes::List, "Return the members of V less than N.", "[i for i in V if i < N]"),
    ("each_plus", Takes::List, "Return each member of V plus N.", "[i + N for i in V]"),
    ("each_times", Takes::List, "Return each member of V times N.", "[i * N for i in V]"),
    ("lowest", Takes::List, "Return the N smallest members of V in order.", "sorted(V)[:N]"),
];

/// One function.
#[derive(PartialEq, Eq, Hash, Clone)]
struct Function {
    kind: usize,
    variable: &'static str,
    numbers: (usize, usize),
    letter: &'static str,
}

impl Function {
    fn draw(dice: &mut Dice) -> Self {
        let kind = dice.below(KINDS.len());
        let takes = KINDS[kind].1;
        let largest = if matches!(takes, Takes::Text) { 9 } else { 29 };
        let low = dice.between(2, largest);
        let numbers = (low, low + dice.between(1, 20));
        let letter = dice.pick(&["a", "b", "d", "e", "h", "i", "l", "n", "o", "r", "s", "t", "y"]);
        // Two functions that read alike are one.
        let (_, _, text, _) = KINDS[kind];
        let numbers = (if text.contains('N') { numbers.0 } else { 0 }, if text.contains('M') { numbers.1 } else { 0 });
        let letter = if text.contains('C') { letter } else { "" };
        Self { kind, variable: dice.pick(takes.names()), numbers, letter }
    }

    /// Fills the capital letters that stand alone.
    fn fill(&self, form: &str, argument: &str) -> String {
        let mut filled = String::new();
        let alone = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
        let letters: Vec<char> = form.chars().collect();
        for (at, letter) in letters.iter().enumerate() {
            let before = at.checked_sub(1).map(|at| letters[at]);
            match letter {
                _ if !alone(before) || !alone(letters.get(at + 1).copied()) => filled.push(*letter),
                'V' => filled += argument,
                'N' => filled += &self.numbers.0.to_string(),
                'M' => filled += &self.numbers.1.to_string(),
                'C' => filled += self.letter,
                other => filled.push(*other),
            }
        }
        filled
    }

    fn name(&self) -> String {
        let (name, ..) = KINDS[self.kind];
        let ending = if self.letter.is_empty() { self.numbers.0.to_string() } else { self.letter.to_string() };
        format!("{name}_{ending}")
    }

    fn prompt(&self) -> String {
        let (_, _, text, _) = KINDS[self.kind];
        let (name, variable) = (self.name(), self.variable);
        format!("def {name}({variable}):\n    \"\"\"{}\"\"\"\n", self.fill(text, variable))
    }

    fn solution(&self) -> String {
        format!("    return {}\n", self.fill(KINDS[self.kind].3, self.variable))
    }

    /// Asserts on literal arguments.
    fn test(&self) -> String {
        let (_, takes, _, body) = KINDS[self.kind];
        let mut test = "def check(candidate):\n".to_string();
        for argument in takes.arguments() {
            let expected = self.fill(body, &format!("({argument})"));
            test += &format!("    assert candidate({argument}) == ({expected})\n");
        }
        test
    }

    fn row(&self, index: usize) -> Value {
        json!({
            "task_id": format!("Valley/{index}"), "prompt": self.prompt(), "canonical_solution": self.solution(),
            "test": self.test(), "entry_point": self.name(),
        })
    }
}

pub fn part(dice: &mut Dice) -> Part {
    let mut tested = HashSet::new();
    let mut held_out = Vec::new();
    while held_out.len() < 150 {
        let function = Function::draw(dice);
        // Neither the function nor the same one under another argument name is shown.
        if tested.insert((function.kind, function.numbers, function.letter)) {
            held_out.push(function);
        }
    }
    let mut functions = Vec::new();
    while functions.len() < 7000 {
        let function = Function::draw(dice);
        if !tested.contains(&(function.kind, function.numbers, function.letter)) {
            functions.push(function);
        }
    }
    let rows = |functions: &[Function]| functions.iter().enumerate().map(|(index, one)| one.row(index)).collect();
    let documents = functions.iter().map(|one| one.prompt() + &one.solution()).collect();
    Part { name: "code", train: rows(&functions[..60]), test: rows(&held_out), documents }
}
