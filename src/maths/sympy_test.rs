//! The program of the symbolic tier run with a real sympy: `FAIRMARK_SYMPY_PYTHON=python cargo test sympy -- --ignored`,
//! where that python has sympy 1.13.1 and antlr4-python3-runtime 4.11.

use super::symbolic::{PROGRAM, Run, Verdict, input, judge_all};
use super::tests::golden;
use std::process::Command;

fn run(pairs: &[(String, String)]) -> Vec<Result<Verdict, String>> {
    let python = std::env::var_os("FAIRMARK_SYMPY_PYTHON").expect("set FAIRMARK_SYMPY_PYTHON to a python with sympy");
    let folder = tempfile::tempdir().unwrap();
    let (program, file) = (folder.path().join("equivalence.py"), folder.path().join("pairs.jsonl"));
    std::fs::write(&program, PROGRAM).unwrap();
    let once = |pairs: &[(String, String)]| {
        std::fs::write(&file, input(pairs)).unwrap();
        let output = Command::new(&python).env("PYTHONHASHSEED", "0").arg(&program).arg(&file).output().unwrap();
        let broken_off = (!output.status.success()).then(|| output.status.to_string());
        Run { output: String::from_utf8(output.stdout).unwrap(), broken_off }
    };
    let mut verdicts = Vec::new();
    judge_all(pairs, &once, &mut |index, verdict| {
        assert_eq!(index, verdicts.len());
        verdicts.push(verdict);
        true
    });
    verdicts
}

#[test]
#[ignore = "needs a python with sympy, named by FAIRMARK_SYMPY_PYTHON"]
fn sympy_verdicts_are_the_references() {
    let rows = golden("symbolic");
    let pairs: Vec<_> =
        rows.iter().map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_str().unwrap().to_owned())).collect();
    for (row, outcome) in rows.iter().zip(run(&pairs)) {
        let verdict = outcome.unwrap();
        assert_eq!(verdict.equal, row[2] == true, "{row:?} {verdict:?}");
        assert_eq!(verdict.reason.is_none(), row[3] == true, "{row:?} {verdict:?}");
    }
}

#[test]
#[ignore = "needs a python with sympy, named by FAIRMARK_SYMPY_PYTHON"]
fn sympy_outlives_hostile_pairs() {
    let deep = "(".repeat(100_000);
    let hostile = [
        "9^{9^{9^{9}}}",
        "10^{10^{10}}",
        "(10^{12})!",
        &deep,
        "\\int_0^1 x^x \\sin(x^x) dx",
        "\"; import os",
        "\u{0}\n",
    ];
    let mut pairs: Vec<_> = hostile.iter().map(|text| ((*text).to_owned(), "1".to_owned())).collect();
    pairs.push(("\\frac{1}{2}".into(), "0.5".into()));
    let verdicts = run(&pairs);
    let (last, failed) = verdicts.split_last().unwrap();
    assert_eq!(last, &Ok(Verdict { equal: true, reason: None }));
    for (text, verdict) in hostile.iter().zip(failed) {
        assert!(verdict.as_ref().map_or(true, |verdict| !verdict.equal), "{text:.40}");
    }
}
