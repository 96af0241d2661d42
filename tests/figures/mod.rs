//! Figures in documents: exactly those that are printed, on a processor like the one they were made on. Another instruction set rounds
//! elsewhere, so that answers which nearly tie may fall the other way: figures must then be near.

use fairmark::kernel::Isa;
use fancy_regex::Regex;

/// What the figures in README.md and in the card of the demo's model were made with.
pub const MADE_WITH: Isa = Isa::Avx2;

/// How far a share may be off elsewhere; a figure above 1 by so much of it.
const NEAR: f64 = 0.02;

/// Whether a line of a document is the line that was printed by `isa`.
pub fn is_same(written: &str, printed: &str, isa: Isa) -> bool {
    written == printed || isa != MADE_WITH && is_near(written, printed)
}

fn is_near(written: &str, printed: &str) -> bool {
    // Of a sentence on a format only that it is one: answers that nearly tie are counted in it.
    let about = |line: &str| {
        line.split_once(": ").filter(|(_, said)| said.contains(" answers flipped (")).map(|p| p.0.to_owned())
    };
    if let (Some(a), Some(b)) = (about(written), about(printed)) {
        return a == b;
    }
    let number = Regex::new(r"\*?[+-]?\d+\.\d{4}").unwrap();
    let figures = |line: &str| -> Vec<f64> {
        let found =
            number.find_iter(line).map(|found| found.unwrap().as_str().trim_start_matches('*').parse().unwrap());
        found.collect()
    };
    let words = |line: &str| number.replace_all(line, "x").split_whitespace().collect::<Vec<_>>().join(" ");
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= NEAR * a.abs().max(1.0);
    let (a, b) = (figures(written), figures(printed));
    words(written) == words(printed) && a.len() == b.len() && a.iter().zip(&b).all(near)
}

#[test]
fn elsewhere_figures_must_be_near_and_words_the_same() {
    let line = "demo_facts   160  0  acc  ↑  *0.7937 ± 0.0321  11.3956 ± 0.6497";
    let near = "demo_facts  160  0  acc  ↑  0.8000 ± 0.0320  *11.5000 ± 0.6400";
    assert!(is_same(line, line, MADE_WITH) && !is_same(line, near, MADE_WITH));
    assert!(is_same(line, near, Isa::Portable));
    let sentence = |flips: usize| {
        format!("demo nf4: no figure moved; 6.0 % of 810 answers flipped ({flips} to wrong, 25 to right)")
    };
    assert!(is_same(&sentence(24), &sentence(23), Isa::Portable) && !is_same(&sentence(24), &sentence(23), MADE_WITH));
    assert!(is_same("a  acc  ↑  0.5  +0.0050", "a  acc  ↑  0.5  *-0.0025", Isa::Portable));
    for far in [near.replace("0.8000", "0.8600"), near.replace("11.5", "12.9"), near.replace("acc", "acc_norm")] {
        assert!(!is_same(line, &far, Isa::Portable), "{far}");
    }
}
