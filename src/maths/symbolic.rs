//! The symbolic tier: a Python program for a sandbox with sympy 1.13.1 and antlr4-python3-runtime 4.11, the text of its
//! input and the meaning of its output. Nothing is run here.

use serde::Deserialize;

/// The program. Run it as `python PROGRAM_FILE INPUT_FILE`; [`judge_all`] starts it as often as is needed. It gives each
/// pair 5 seconds as the reference does, and 3 more where only killing helps; it neither forks nor needs a network. Set
/// `PYTHONHASHSEED=0`: on a few pairs (0/0 and 0) sympy's word hangs on the order of its hash tables.
pub const PROGRAM: &str = include_str!("equivalence.py");

/// sympy's word on a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether `simplify(a - b) == 0`. False where it could not be judged: the reference counts that as wrong.
    pub equal: bool,
    /// Why it could not be judged: a text that `parse_latex` refuses, a failed subtraction, the time limit.
    pub reason: Option<String>,
}

/// The text of the program's input file: one JSON array `[a, b]` a line.
pub fn input(pairs: &[Pair]) -> String {
    let mut text = String::new();
    for (a, b) in pairs {
        text.push_str(&serde_json::json!([a, b]).to_string());
        text.push('\n');
    }
    text
}

#[derive(Deserialize)]
struct Line {
    pair: Option<usize>,
    equal: Option<bool>,
    reason: Option<String>,
    unavailable: Option<String>,
}

/// Two normalised answers.
pub type Pair = (String, String);

/// What came of one run of the program.
pub struct Run {
    /// Its standard output.
    pub output: String,
    /// Why it ended, unless by itself.
    pub broken_off: Option<String>,
}

/// Judges pairs by runs of the program, each with what the one before left over. `run`: runs it on some pairs. `tell`: takes the verdict on a
/// pair, or why there is none (no sympy there, or the pair ended the process), and says whether to go on.
pub fn judge_all(
    pairs: &[Pair],
    run: &dyn Fn(&[Pair]) -> Run,
    tell: &mut dyn FnMut(usize, Result<Verdict, String>) -> bool,
) {
    let mut first = 0;
    while let Some(rest) = pairs.get(first..).filter(|rest| !rest.is_empty()) {
        let Run { output, broken_off } = run(rest);
        let verdicts = match outcomes(&output) {
            Ok(verdicts) => verdicts,
            Err(why) => {
                let unavailable = || Err(format!("sympy cannot judge here: {why}"));
                let _ = (first..pairs.len()).all(|index| tell(index, unavailable()));
                return;
            }
        };
        let judged = verdicts.len();
        for verdict in verdicts {
            if !tell(first, Ok(verdict)) {
                return;
            }
            first += 1;
        }
        // A pair that ends the process has no verdict; so has one at which a run that ended by itself did not even begin.
        let blamed = broken_off.or_else(|| (judged == 0).then(|| "the program said nothing".to_owned()));
        if let (Some(why), true) = (blamed, first < pairs.len()) {
            if !tell(first, Err(format!("sympy's process ended at this pair: {why}"))) {
                return;
            }
            first += 1;
        }
    }
}

/// Reads the program's output: verdicts on the first pairs, in order. `Err`: nothing can be judged there.
fn outcomes(output: &str) -> Result<Vec<Verdict>, String> {
    let mut verdicts = Vec::new();
    for line in output.lines() {
        let Ok(line) = serde_json::from_str::<Line>(line) else { continue };
        if let Some(why) = line.unavailable {
            return Err(why);
        }
        match (line.pair, line.equal) {
            (Some(pair), Some(equal)) if pair == verdicts.len() => {
                verdicts.push(Verdict { equal, reason: line.reason })
            }
            _ => {}
        }
    }
    Ok(verdicts)
}
