//! Texts made to hurt: deep, long, unbalanced or huge. Nothing may panic or take long.

use super::*;
use std::time::{Duration, Instant};

/// For long texts in an unoptimised build on a busy machine; what is not linear takes far longer.
const LINEAR: Duration = Duration::from_secs(120);
/// For texts that the bounds should end at once, also unoptimised and on a busy machine.
const BOUNDED: Duration = Duration::from_secs(120);

fn long(piece: &str) -> String {
    piece.repeat(200_000 / piece.len())
}

fn within(limit: Duration, what: &str, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    assert!(start.elapsed() < limit, "{what} took {:?}", start.elapsed());
}

#[test]
fn long_texts_take_linear_time() {
    let pieces = [
        "{",
        "}",
        "\\boxed{",
        "\\boxed ",
        "$",
        "$\n",
        "\\text{",
        "\\text{\n",
        "\\text{ ",
        "\\frac",
        "\\sqrt",
        "sqrt[",
        "1",
        "1a",
        "1.1a",
        "=",
        "/",
        " ",
        "\u{663}",
        "\u{e9}",
        "ft\\left",
        "\\",
        "a ",
        "square",
        ",000",
        "(",
        "x+",
        "\n",
        "Final Answer: The final answer is",
        " I hope it is correct",
        "Final Answer: The final answer is x I hope it is ",
    ];
    for piece in pieces {
        let text = long(piece) + "}$\n]. I hope it is correct.";
        within(LINEAR, piece, || {
            let _ = (boxed_answer(&text), minerva_gold(&text), hendrycks_answer(&text).len());
            let _ = (minerva_answer(&text), normalize_final_answer(&text), parse_math_answer(&text));
            let _ = (hendrycks_equal(&text, "1"), agieval_equal(&text, "1"));
            assert_eq!(exact(&text, "1"), None, "{piece}");
        });
    }
}

#[test]
fn small_texts_with_huge_values_are_not_decided() {
    let deep = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
    let braces = format!("{}1{}", "{".repeat(1000), "}".repeat(1000));
    let fractions = format!("{}1{}", "\\frac{1}{1+".repeat(180), "}".repeat(180));
    for text in [
        "9^{9^{9^{9}}}",
        "10^{1000000000}",
        "10^{-99999999999999999999999}",
        "(x+y)^{1000}",
        "2^{-4096}",
        "1000!",
        "100!!",
        "\\binom{1000}{500}",
        "x^{9223372036854775807}x^{9223372036854775807}",
        "\\sqrt[99999999999]{2}",
        "\\sqrt{10^{40}+1}",
        "(a+b)(c+d)(e+f)(g+h)(k+l)(m+n)(o+p)",
        "\\frac{1}{0}",
        "\\frac{1}{x-x}",
        "0^0",
        "0^{-1}",
        "\\sqrt{-1}",
        "{}",
        "()",
        "^2",
        "(-9223372036854775808)^{-9223372036854775808}",
        "1^{99999999999999999999}",
        &deep,
        &braces,
        &fractions,
    ] {
        within(BOUNDED, text, || {
            assert_eq!(exact(text, "7"), None, "{text}");
            assert_eq!(exact(text, text), None, "{text}");
        });
    }
}

#[test]
fn costly_arithmetic_ends_soon() {
    let roots = "(1+\\sqrt{2}+\\sqrt{3}+\\sqrt{5}+\\sqrt{6}+\\sqrt{7}+\\sqrt{10}+\\sqrt{11})";
    let power = format!("((({roots}^8)^8)^8)^8");
    let product = roots.repeat(20);
    let sum = format!("\\frac{{1}}{{x+{roots}}}+").repeat(18) + "1";
    let polynomial = "(x+1)".repeat(60);
    let tuple = format!("({})", [polynomial.as_str(); 6].join(","));
    let set = format!("\\{{{}\\}}", ["(x+1)^8(x+2)^8(y+3)"; 16].join(","));
    let lists = ["[".repeat(900), "{".repeat(900), "(1,".repeat(600), "\\{1,".repeat(400), "1,".repeat(1000)];
    for text in [power, product, sum, polynomial, tuple, set].iter().chain(&lists) {
        within(BOUNDED, text, || {
            let _ = (exact(text, text), exact(text, "x"), exact(text, &text.replace('1', "2")));
        });
    }
}

#[test]
fn no_cut_of_an_answer_panics() {
    let text = "\\boxed{\\left(\\frac{1}{2},-3\\sqrt[3]{x_1}\\right]\\cup\\{1,2\\},50\\%,\\$5.50\u{b2}\u{663}\\text{ cm}=\\begin{pmatrix}1&2\\\\3\\end{pmatrix}}$";
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    for &from in &ends {
        for &to in ends.iter().filter(|to| **to >= from) {
            let cut = &text[from..to];
            let _ = (exact(cut, cut), decide(cut, "1", exact), boxed_answer(cut), minerva_gold(cut));
            let _ = (minerva_answer(cut), normalize_final_answer(cut), parse_math_answer(cut));
            let _ = (hendrycks_equal(cut, "1"), agieval_equal(cut, "1"));
        }
    }
}
