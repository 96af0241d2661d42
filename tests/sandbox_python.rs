//! Which Python runs, as what, and what of it programs can reach: no folder that the user happens to stand in, no variable and no
//! installed package has a say.
#![cfg(target_os = "linux")]

mod sandbox_here;

use fairmark::sandbox::judge::Judge;
use fairmark::sandbox::{Ending, Limits, Program, Runner, Sandbox, Settings, Template};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Tells a copy of this test that it stands in the folder of traps.
const TRAPPED: &str = "FAIRMARK_TEST_TRAPPED";

/// What any start of a Python, and all that is asked of one, could import.
const MODULES: &[&str] = &[
    "_collections_abc",
    "_weakrefset",
    "abc",
    "antlr4",
    "ast",
    "atexit",
    "bisect",
    "codecs",
    "collections",
    "contextlib",
    "copy",
    "csv",
    "datetime",
    "decimal",
    "enum",
    "errno",
    "fractions",
    "functools",
    "genericpath",
    "heapq",
    "inspect",
    "io",
    "json",
    "keyword",
    "linecache",
    "locale",
    "mpmath",
    "numbers",
    "operator",
    "os",
    "posixpath",
    "queue",
    "random",
    "re",
    "reprlib",
    "resource",
    "select",
    "selectors",
    "shutil",
    "signal",
    "site",
    "sitecustomize",
    "socket",
    "stat",
    "string",
    "struct",
    "sympy",
    "sysconfig",
    "tempfile",
    "threading",
    "token",
    "tokenize",
    "traceback",
    "types",
    "typing",
    "usercustomize",
    "uuid",
    "warnings",
    "wave",
    "weakref",
    "zipimport",
];
const PACKAGES: &[&str] = &["concurrent", "ctypes", "encodings", "importlib", "unittest"];

fn limits() -> Limits {
    let patience = Duration::from_secs(60);
    Limits { cpu: patience, wall: patience, ..Limits::default() }
}

fn run(sandbox: &Sandbox, code: &str) -> String {
    let outcome = sandbox.run(&Program { code: code.to_owned(), files: Vec::new() }, &limits());
    assert_eq!(outcome.ending, Ending::Exited(0), "{outcome:?}");
    format!("{}{}", outcome.stdout, outcome.stderr)
}

/// A folder in which every module name leaves a note when it is imported, and a `python3` does when it is started.
struct Traps(tempfile::TempDir);

impl Traps {
    fn new() -> Traps {
        let dir = tempfile::tempdir().unwrap();
        let note = |name: &str| {
            format!("open({:?}, 'w').write({name:?})\n", dir.path().join("WAS_HERE").display().to_string())
        };
        for name in MODULES {
            std::fs::write(dir.path().join(format!("{name}.py")), note(name)).unwrap();
        }
        for name in PACKAGES {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("__init__.py"), note(name)).unwrap();
        }
        let script = dir.path().join("python3");
        std::fs::write(&script, format!("#!/bin/sh\necho python3 > {}/WAS_HERE\nexit 1\n", dir.path().display()))
            .unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        Traps(dir)
    }

    /// A command that stands in the folder, with every variable of Python's set to it and the search path beginning with it.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let place = self.0.path();
        for name in ["PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONPLATLIBDIR"] {
            command.env(name, place);
        }
        let path = std::env::var("PATH").unwrap();
        command.env("PYTHONSTARTUP", place.join("json.py")).env("PYTHONINSPECT", "1").env("PATH", format!(".::{path}"));
        command.current_dir(place);
        command
    }

    fn sprung(&self) -> Option<String> {
        std::fs::read_to_string(self.0.path().join("WAS_HERE")).ok()
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn no_start_of_a_python_falls_into_a_trap() {
    sandbox_here::or_skip();
    if std::env::var_os(TRAPPED).is_some() {
        return start_all();
    }
    let traps = Traps::new();
    // The traps work: a plain start falls into one.
    let python = Sandbox::open(Settings { runner: Runner::Unsafe, ..Settings::default() }).unwrap();
    let python = python.report().interpreter.clone();
    let mut plain = Command::new(&python);
    plain.args(["-S", "-c", "import json"]).current_dir(traps.0.path()).output().unwrap();
    assert_eq!(traps.sprung().as_deref(), Some("json"));
    std::fs::remove_file(traps.0.path().join("WAS_HERE")).unwrap();
    let mut copy = traps.command(&std::env::current_exe().unwrap());
    copy.args(["no_start_of_a_python_falls_into_a_trap", "--exact", "--nocapture"]).env(TRAPPED, "1");
    let output = copy.output().unwrap();
    assert!(output.status.success() && said(&output).contains("1 passed"), "{}", said(&output));
    assert_eq!(traps.sprung(), None);
}

/// Opens and uses every kind of sandbox.
fn start_all() {
    let words = ["{python}", "-s", "-S", "-B", "-X", "utf8", "-c", "{bootstrap}"].map(str::to_owned);
    let mut runners =
        vec![Runner::Own, Runner::Unsafe, Runner::External(Template::custom("mine", words.to_vec()).unwrap())];
    if Command::new("bwrap").args(["--ro-bind", "/", "/", "true"]).status().is_ok_and(|s| s.success()) {
        runners.push(Runner::External(Template::named("bwrap").unwrap()));
    }
    for runner in runners {
        let sandbox = Sandbox::open(Settings { runner, ..Settings::default() }).unwrap();
        let path =
            run(&sandbox, "import csv, json, os, sys, wave, zipfile\nprint(sys.path, len(os.environ), json.__file__)");
        let here = std::env::current_dir().unwrap();
        assert!(!path.contains(&here.display().to_string()) && !path.contains("''") && path.contains(" 0 "), "{path}");
        Judge::open(sandbox).expect("canaries");
    }
}

/// The question after sympy is asked by the program itself; it needs packages, but not those that lie around.
#[test]
fn the_judge_of_mathematics_falls_into_no_trap() {
    sandbox_here::or_skip();
    let (traps, bench) = (Traps::new(), tempfile::tempdir().unwrap());
    let at = |name: &str| bench.path().join(name);
    std::fs::create_dir(at("tasks")).unwrap();
    let yaml = "task: sums\ndataset_path: json\ndataset_kwargs: {data_files: {test: docs.jsonl}}\ntest_split: test\n\
                output_type: generate_until\ndoc_to_text: '{{q}}'\ndoc_to_target: x\ngeneration_kwargs: {until: []}\n\
                judge: {function: math, solution: '{{solution}}'}\nmetric_list: [{metric: exact_match, judged: true}]\n";
    std::fs::write(at("tasks/sums.yaml"), yaml).unwrap();
    std::fs::write(at("tasks/docs.jsonl"), r#"{"q": "1+1?", "solution": "It is $\\boxed{2}$."}"#).unwrap();
    let answer = r#"{"contains": "1+1", "texts": ["Final Answer: The final answer is $2$. I hope it is correct."]}"#;
    std::fs::write(at("texts.jsonl"), answer).unwrap();
    let mut command = traps.command(Path::new(env!("CARGO_BIN_EXE_fairmark")));
    command.args(["run", "--tasks", "sums", "--model"]).arg(format!("mock:texts={}", at("texts.jsonl").display()));
    command
        .arg("--include-path")
        .arg(at("tasks"))
        .arg("--out")
        .arg(at("out"))
        .arg("--cache-file")
        .arg(at("cache.sqlite"));
    let output = command.env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(traps.sprung(), None, "{}", said(&output));
}

fn copy_library(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let left_out =
            ["site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3"];
        if source.is_dir() && !left_out.iter().any(|name| entry.file_name() == *name) {
            copy_library(&source, &target);
        } else if source.is_file() && std::fs::hard_link(&source, &target).is_err() {
            std::fs::copy(&source, &target).unwrap();
        }
    }
}

/// A Python in a folder that all users may read, with a package of its own; `None` where the one that is here cannot be moved.
fn python_with_a_package(base: &Path) -> Option<PathBuf> {
    std::fs::set_permissions(base, std::fs::Permissions::from_mode(0o755)).unwrap();
    let found = Sandbox::open(Settings { runner: Runner::Unsafe, ..Settings::default() }).unwrap();
    let about =
        run(&found, "import sys, sysconfig\nprint(sysconfig.get_paths()['stdlib'], '%d.%d' % sys.version_info[:2])");
    let (library, version) = about.trim().rsplit_once(' ')?;
    let moved = base.join(format!("lib/python{version}"));
    copy_library(Path::new(library), &moved);
    std::fs::create_dir_all(base.join("bin")).unwrap();
    let python = base.join(format!("bin/python{version}"));
    std::fs::copy(&found.report().interpreter, &python).unwrap();
    std::fs::create_dir_all(moved.join("site-packages")).unwrap();
    std::fs::write(moved.join("site-packages/rtpkg.py"), "TOKEN = 'token-of-the-host'\ndef square(x): return x * x\n")
        .unwrap();
    let output = Command::new(&python).args(["-I", "-c", "import json, rtpkg; print(rtpkg.TOKEN)"]).output().ok()?;
    output.stdout.starts_with(b"token").then_some(python)
}

#[test]
fn packages_of_the_host_are_out_of_reach() {
    sandbox_here::or_skip();
    let base = tempfile::tempdir().unwrap();
    let Some(python) = python_with_a_package(base.path()) else {
        sandbox_here::say("packages_of_the_host_are_out_of_reach: skipped: this Python cannot be moved");
        return;
    };
    let code = "import sys, sysconfig, os
packages = os.path.join(sysconfig.get_paths()['stdlib'], 'site-packages')
def tried(act):
    try: return act()
    except Exception as e: return type(e).__name__
sys.path.append(packages)
print(tried(lambda: __import__('rtpkg').TOKEN), tried(lambda: open(packages + '/rtpkg.py').read()), tried(lambda: os.listdir(packages)))
import asyncio, csv, decimal, email, json, logging, sqlite3, unittest, zipfile, xml.dom.minidom
print('library')
";
    let open = |runner: Runner| {
        let settings = Settings { runner, interpreter: Some(python.clone()), ..Settings::default() };
        Sandbox::open(settings).unwrap()
    };
    let control = run(&open(Runner::Unsafe), code);
    assert!(control.matches("token-of-the-host").count() == 2 && control.contains("rtpkg.py"), "{control}");
    let said = run(&open(Runner::Own), code);
    assert!(!said.contains("token-of-the-host") && !said.contains("rtpkg.py"), "{said}");
    assert_eq!(said, "ModuleNotFoundError PermissionError PermissionError\nlibrary\n");
}
