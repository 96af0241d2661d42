//! Reads the files of cases: `### name`, then settings as comments, code, `# tests:`, tests.

use fairmark::sandbox::judge::{Course, Kind, Mode, Shown};

/// One solution with its tests.
pub struct Case {
    pub name: String,
    pub entry_points: Vec<String>,
    /// The control: whether solution and tests as one program end with exit code 0. `None`: no control.
    pub passes_elsewhere: Option<bool>,
    pub code: String,
    pub tests: String,
    /// What a reference would show of itself.
    shown: Shown,
}

impl Case {
    /// As after a reference.
    pub fn course(&self, mode: Mode) -> Course {
        Course { mode, reference: Some(self.shown.clone()) }
    }
}

/// What most cases are to compute.
const SQUARE: &str = "assert square(3) == 9\nassert square(-4) == 16\n";

/// The cases of a file, at least one.
pub fn read(file: &str) -> Vec<Case> {
    let cases: Vec<Case> = file.split("\n### ").skip(1).map(case).collect();
    assert!(!cases.is_empty(), "no cases");
    cases
}

fn case(section: &str) -> Case {
    let (name, rest) = section.split_once('\n').expect("a name and code");
    let setting = |key: &str| {
        let mut lines = rest.lines().take_while(|line| line.starts_with("# "));
        lines.find_map(|line| line.strip_prefix(&format!("# {key}: ")).map(str::to_owned))
    };
    let (code, tests) = rest.split_once("# tests:\n").unwrap_or((rest, SQUARE));
    let list = |key: &str| setting(key).map(|words| words.split(", ").map(str::to_owned).collect::<Vec<_>>());
    let entry_points = list("entry points").unwrap_or_else(|| vec!["square".to_owned()]);
    let kinds = match list("kinds") {
        Some(words) => words.iter().map(|word| Kind::of(word).expect("a kind")).collect(),
        None => vec![Kind::Function; entry_points.len()],
    };
    Case {
        name: name.to_owned(),
        entry_points,
        shown: Shown { kinds, givers: list("givers").unwrap_or_default() },
        passes_elsewhere: setting("elsewhere").map(|word| match word.as_str() {
            "passes" => true,
            "fails" => false,
            other => panic!("{name}: elsewhere: {other}"),
        }),
        code: code.to_owned(),
        tests: tests.to_owned(),
    }
}
