//! The program of the symbolic tier run with a real sympy: `FAIRMARK_SYMPY_PYTHON=python cargo test sympy -- --ignored`,
//! where that python has sympy 1.13.1 and antlr4-python3-runtime 4.11.

use super::symbolic::{PROGRAM, Verdict, input, outcomes};
use super::tests::golden;
use std::process::Command;

fn run(pairs: &[(String, String)]) -> Vec<Result<Verdict, String>> {
    let python = std::env::var_os("FAIRMARK_SYMPY_PYTHON").expect("set FAIRMARK_SYMPY_PYTHON to a python with sympy");
    let folder = std::env::temp_dir().join(format!("fairmark-sympy-{}-{}", std::process::id(), pairs.len()));
    std::fs::create_dir_all(&folder).unwrap();
    let (program, file) = (folder.join("equivalence.py"), folder.join("pairs.jsonl"));
    std::fs::write(&program, PROGRAM).unwrap();
    std::fs::write(&file, input(pairs)).unwrap();
    let output = Command::new(python).env("PYTHONHASHSEED", "0").arg(&program).arg(&file).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    outcomes(&String::from_utf8(output.stdout).unwrap(), pairs.len())
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
        assert!(!verdict.as_ref().unwrap().equal, "{text:.40}");
    }
}
