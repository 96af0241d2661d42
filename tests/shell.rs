//! What the binary tells a shell and `man`: completion scripts and manual pages, held to what `--help` says.

mod help;

use help::{Help, commands};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

fn fairmark(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fairmark")).args(args).output().unwrap()
}

fn stdout(args: &[&str]) -> String {
    let output = fairmark(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a program can be started; says so when it cannot.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        // Past the test harness, which keeps what passing tests print to itself.
        let _ = writeln!(std::io::stderr(), "skipped: there is no {program}");
    }
    found
}

fn page_name(path: &[String]) -> String {
    let words: Vec<&str> = std::iter::once("fairmark").chain(path.iter().map(String::as_str)).collect();
    format!("{}.1", words.join("-"))
}

/// What bash offers for the last of these words.
fn offered(script: &Path, words: &[&str]) -> Vec<String> {
    let driver = r#"
        source "$1"; shift
        complete -p fairmark > /dev/null || exit 1
        function=$(complete -p fairmark | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        "$function" fairmark "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output =
        Command::new("bash").args(["--norc", "-c", driver, "driver"]).arg(script).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect()
}

#[test]
fn bash_completes_verbs_flags_and_values() {
    if !has("bash") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("fairmark");
    std::fs::write(&script, stdout(&["completions", "bash"])).unwrap();
    let syntax = Command::new("bash").arg("-n").arg(&script).output().unwrap();
    assert!(syntax.status.success() && syntax.stderr.is_empty(), "{}", String::from_utf8_lossy(&syntax.stderr));

    let after = |words: &[&str]| offered(&script, words);
    assert_eq!(after(&["fairmark", "sc"]), ["scorer-agreement"]);
    let flags = after(&["fairmark", "run", "--t"]);
    assert!(flags.contains(&"--tasks".to_string()), "{flags:?}");
    assert!(flags.iter().all(|flag| flag.starts_with("--t")), "{flags:?}");
    let protocols = after(&["fairmark", "run", "--mc-protocol", "letter"]);
    assert_eq!(protocols, ["letter-logprobs", "letter-text"]);
    assert_eq!(after(&["fairmark", "ls", "pri"]), ["prices"]);
    assert_eq!(after(&["fairmark", "cache", "pru"]), ["prune"]);
    assert_eq!(after(&["fairmark", "completions", "z"]), ["zsh"]);
}

#[test]
fn every_shell_gets_a_script_with_every_flag() {
    let commands = commands();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&["completions", shell]);
        for Help { path, flags, .. } in &commands {
            for flag in flags {
                // fish writes `-l tasks`.
                let written = if shell == "fish" { format!("-l {}", &flag[2..]) } else { flag.clone() };
                assert!(script.contains(&written), "{shell}: {written} of {path:?}");
            }
        }
    }
    let unknown = fairmark(&["completions", "csh"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn the_pages_have_every_verb_and_flag_of_help() {
    let folder = tempfile::tempdir().unwrap();
    // A folder that does not exist yet.
    let dir = folder.path().join("share/man1");
    assert_eq!(stdout(&["man", "--dir", dir.to_str().unwrap()]), "");
    let commands = commands();
    assert!(commands.len() > 8, "{commands:?}");
    for Help { path, verbs, flags, .. } in &commands {
        let page = std::fs::read_to_string(dir.join(page_name(path))).unwrap();
        assert!(flags.contains("--help"), "{path:?} {flags:?}");
        for flag in flags {
            let written = format!("\\fB{}\\fR", flag.replace('-', "\\-"));
            assert!(page.contains(&written), "{flag} is not in the page of {path:?}");
        }
        for verb in verbs {
            let name = page_name(&[path.clone(), vec![verb.clone()]].concat()).replace(".1", "").replace('-', "\\-");
            assert!(page.contains(&format!("{name}(1)")), "{name} is not in the page of {path:?}");
        }
    }
    let mut written: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    let mut wanted: Vec<std::ffi::OsString> = commands.iter().map(|command| page_name(&command.path).into()).collect();
    written.sort();
    wanted.sort();
    assert_eq!(written, wanted, "a page for each, and nothing else");
    assert_eq!(std::fs::read_to_string(dir.join("fairmark.1")).unwrap(), stdout(&["man"]));
}

#[test]
fn exit_codes_and_variables_stand_in_help_and_page() {
    let (help, page) = (stdout(&["--help"]), stdout(&["man"]));
    for (code, word) in [(0, "Done"), (1, "verdict"), (2, "mend"), (3, "same command again")] {
        assert!(help.lines().any(|line| line.starts_with(&format!("  {code}  ")) && line.contains(word)), "{help}");
        assert!(page.contains(&format!("\\fB{code}\\fR\n")) && page.contains(word), "{code}");
    }
    for section in ["SYNOPSIS", "DESCRIPTION", "EXAMPLES", "ENVIRONMENT", "FILES"] {
        assert!(page.contains(&format!(".SH {section}\n")), "{section}");
    }
    let endpoints = stdout(&["ls", "endpoints"]);
    let mut variables: BTreeSet<&str> = endpoints.split_whitespace().filter(|word| word.contains('_')).collect();
    variables.retain(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    assert!(variables.len() > 10, "{variables:?}");
    for variable in variables.into_iter().chain(["HF_TOKEN", "HF_HOME", "HF_HUB_OFFLINE", "NO_COLOR"]) {
        assert!(page.contains(variable), "{variable}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = |dir: &Path, named: &Path| {
        let output = fairmark(&["man", "--dir", dir.to_str().unwrap()]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(named.to_str().unwrap()), "{stderr}");
    };
    // A file where the folder should be, a file on the way to it, a folder where a page should be.
    refused(&file, &file);
    refused(&file.join("man1"), &file);
    let dir = folder.path().join("man1");
    std::fs::create_dir_all(dir.join("fairmark-run.1")).unwrap();
    refused(&dir, &dir.join("fairmark-run.1"));
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().ends_with(".1")), "{left:?}");
}

#[test]
fn the_pages_render_without_warnings() {
    let renderers: [(&str, &[&str]); 2] = [
        ("groff", &["-K", "utf8", "-man", "-T", "utf8", "-P", "-cbou", "-ww"]),
        ("mandoc", &["-T", "lint", "-W", "warning"]),
    ];
    let folder = tempfile::tempdir().unwrap();
    stdout(&["man", "--dir", folder.path().to_str().unwrap()]);
    for (program, args) in renderers {
        if !has(program) {
            continue;
        }
        for Help { path, .. } in commands() {
            let page = folder.path().join(page_name(&path));
            let output = Command::new(program).args(args).arg(&page).output().unwrap();
            let talk = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && talk.is_empty(), "{program} on {path:?}: {talk}");
            let text = String::from_utf8_lossy(&output.stdout);
            // mandoc's lint says what it has to say on stdout; groff sets the page.
            assert!(if program == "mandoc" { text.is_empty() } else { text.contains("EXIT STATUS") }, "{text}");
        }
    }
}
