//! Commands of other programs that documents name: they are not run, and this is what is looked at instead.

use super::pages::root;
use super::world::words;

/// What is looked at.
#[derive(Clone, Copy)]
enum Check {
    /// Targets, features and flags are there.
    Cargo,
    /// Scripts of the repository are there and know the flags.
    Script,
    /// Nothing of this repository is in it.
    Elsewhere,
}

/// By the first words of a command; the first row that fits counts.
const OTHERS: &[(&str, Check)] = &[
    ("cargo bench", Check::Cargo),
    ("cargo build", Check::Cargo),
    ("cargo check", Check::Cargo),
    ("cargo clippy", Check::Cargo),
    ("cargo fmt", Check::Cargo),
    ("cargo install --path .", Check::Cargo),
    ("cargo run", Check::Cargo),
    ("cargo test", Check::Cargo),
    (".ci/run", Check::Script),
    ("examples/", Check::Script),
    ("tests/", Check::Script),
    ("for ", Check::Script),
    ("python3 -I ", Check::Elsewhere),
    ("python3 -m venv", Check::Elsewhere),
    ("python3 ", Check::Script),
    ("python ", Check::Script),
    ("cd ", Check::Elsewhere),
    ("export ", Check::Elsewhere),
    ("git clone ", Check::Elsewhere),
    ("pip install ", Check::Elsewhere),
    ("llama-perplexity ", Check::Elsewhere),
];

/// Flags of cargo itself and of the programs behind `--` of a test.
const CARGO: &[&str] = &[
    "--all-targets",
    "--bench",
    "--config",
    "--example",
    "--features",
    "--ignored",
    "--lib",
    "--locked",
    "--nocapture",
    "--no-run",
    "--offline",
    "--path",
    "--release",
    "--test",
    "--test-threads",
    "--check",
];

/// Whether a command could be run as it stands.
pub fn check(command: &str) -> Result<(), String> {
    let command = without_variables(command);
    let row = OTHERS.iter().find(|(start, _)| command.starts_with(start));
    let (_, check) = row.ok_or("an unknown command: tests/docs/others.rs has a row for each")?;
    let words = words(command.split(" #").next().unwrap_or(command));
    match check {
        Check::Cargo => cargo(&words),
        Check::Script => scripts(&words),
        Check::Elsewhere => Ok(()),
    }
}

/// Whether a text in backticks is a command of this table.
pub fn is_other(text: &str) -> bool {
    let command = without_variables(text);
    // A path alone is a file that is spoken of.
    command.contains(' ') && OTHERS.iter().any(|(start, _)| command.starts_with(start))
}

/// The command as `fairmark ...`, where it calls fairmark.
pub fn of_fairmark(command: &str) -> Option<String> {
    let bare = without_variables(command);
    let built =
        bare.strip_prefix("cargo run --release -- ").map(|rest| command.replace(bare, &format!("fairmark {rest}")));
    built.or_else(|| (bare.starts_with("fairmark ") || bare.starts_with("$FAIRMARK ")).then(|| command.to_owned()))
}

/// Without `NAME=value ` and `time ` at its front.
pub fn without_variables(command: &str) -> &str {
    let mut rest = command.trim();
    while let Some((word, more)) = rest.split_once(' ') {
        let name = word.split('=').next().unwrap_or_default();
        if word != "time"
            && (name == word || name.is_empty() || !name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        {
            break;
        }
        rest = more.trim_start();
    }
    rest
}

fn cargo(words: &[String]) -> Result<(), String> {
    let (own, behind) = match words.iter().position(|word| word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (words, &[][..]),
    };
    let mut target = None;
    for pair in own.windows(2) {
        let name = &pair[1];
        let files = match pair[0].as_str() {
            "--test" => [format!("tests/{name}.rs"), format!("tests/{name}/main.rs")],
            "--bench" => [format!("benches/{name}.rs"), format!("benches/{name}/main.rs")],
            "--example" => [format!("examples/{name}.rs"), format!("examples/{name}/main.rs")],
            "--features" if !manifest().contains(&format!("\n{name} = [")) => {
                return Err(format!("Cargo.toml has no feature `{name}`"));
            }
            _ => continue,
        };
        target = files.iter().find(|file| root().join(file).is_file()).cloned();
        if target.is_none() {
            return Err(format!("there is no {}", files[0]));
        }
    }
    // A bench and an example read flags of their own.
    let source = match target.filter(|file| !file.starts_with("tests/")) {
        Some(file) => with_modules(&file),
        None => String::new(),
    };
    let unknown = own.iter().chain(behind).filter(|word| word.starts_with("--") && word.len() > 2);
    for flag in unknown {
        if !CARGO.contains(&flag.as_str())
            && !source.contains(&format!("\"{flag}\""))
            && !source.contains(&format!("{flag} "))
        {
            return Err(format!("neither cargo nor the target has a flag `{flag}`"));
        }
    }
    Ok(())
}

/// The text of a target and of the modules beside it.
fn with_modules(file: &str) -> String {
    let file = root().join(file);
    let mut text = std::fs::read_to_string(&file).unwrap();
    let folder = file.parent().unwrap().join(file.file_stem().unwrap());
    for folder in [folder, root().join("benches/checkpoint")] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            text.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
    text
}

fn manifest() -> String {
    std::fs::read_to_string(root().join("Cargo.toml")).unwrap()
}

fn scripts(words: &[String]) -> Result<(), String> {
    let is_ours = |word: &&String| {
        [".py", ".sh"].iter().any(|end| word.trim_end_matches(';').ends_with(end)) || *word == ".ci/run"
    };
    let mut text = String::new();
    let named: Vec<&str> = words.iter().filter(is_ours).map(|word| word.trim_end_matches(';')).collect();
    for script in &named {
        let read = std::fs::read_to_string(root().join(script));
        text.push_str(&read.map_err(|_| format!("there is no {script}"))?);
    }
    if named.is_empty() {
        return Err("no script of this repository is in it".to_owned());
    }
    match words.iter().find(|word| word.starts_with("--") && !text.contains(word.as_str())) {
        Some(flag) => Err(format!("{} knows no `{flag}`", named.join(", "))),
        None => Ok(()),
    }
}
