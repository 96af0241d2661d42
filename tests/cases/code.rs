//! Programs and their judge: nothing runs outside the sandbox, and no wrong solution passes.

use super::world::Case;

/// A run of a code task with answers of `answers.jsonl`.
const HUMANEVAL: &str =
    "run --model mock:texts=answers.jsonl --tasks humaneval --limit 1 --data-dir ../../../shared/datasets --out out";

pub fn hostile_cache_schema(case: &Case) {
    case.fairmark(&format!("{HUMANEVAL} --cache-file answers.sqlite")).exits_any(&[0, 3]);
    case.sh("python3 change.py").exits(0);
    let seen =
        case.sh_within(40, &format!("$FAIRMARK {HUMANEVAL} --cache-file answers.sqlite --cache refresh --fresh"));
    seen.exits(2).says("no response cache");
}

pub fn hostile_class_in_functions_place(case: &Case) {
    for (answers, passed) in [("right", "1.0000"), ("wrong", "0.0000"), ("fake", "0.0000")] {
        let flags = format!("--tasks t.yaml --cache off --out out-{answers}");
        case.fairmark(&format!("run --model mock:texts={answers}.jsonl {flags}")).exits(0).scores(passed);
    }
}

pub fn hostile_one_process_liars(case: &Case) {
    let seen = case.fairmark("run --model mock:texts=fakes.jsonl --tasks t.yaml --cache off --out out");
    let said = format!("{}{}", seen.out, seen.err);
    assert!(seen.has_score("0.0000") || said.contains("one process") && said.contains("docs/security.md"), "{seen}");
}

pub fn hostile_python_from_cwd(case: &Case) {
    let seen = case.sh(&format!("FAIRMARK_API_KEY=canary-123 $FAIRMARK {HUMANEVAL} --cache off"));
    seen.exits(0);
    assert!(!case.here().join("WAS_HERE.txt").exists(), "a file of the current folder ran: {seen}");
}

pub fn hostile_random_foretold(case: &Case) {
    for answers in ["foretold", "wrong"] {
        let flags = format!("--tasks t.yaml --data-dir ../../../shared/datasets --cache off --out out-{answers}");
        case.fairmark(&format!("run --model mock:texts={answers}.jsonl {flags}")).exits(0).scores("0.0000");
    }
}

/// An interpreter in an open folder, with a package.
const OPEN_PYTHON: &str = r#"
import os, shutil, sys
name = 'python%d.%d' % sys.version_info[:2]
to = sys.argv[1]
skip = shutil.ignore_patterns('site-packages', 'dist-packages', 'test', 'tests', '__pycache__', 'config-*', 'idlelib', 'lib2to3', 'ensurepip')
shutil.copytree(os.path.dirname(os.__file__), to + '/lib/' + name, ignore=skip)
os.makedirs(to + '/bin')
shutil.copy(os.path.realpath(sys.executable), to + '/bin/' + name)
package = to + '/lib/' + name + '/site-packages/rtpkg'
os.makedirs(package)
with open(package + '/__init__.py', 'w') as file:
    file.write('def square(x): return x * x\n')
"#;

pub fn hostile_site_packages(case: &Case) {
    std::fs::write(case.scratch().join("open.py"), OPEN_PYTHON).unwrap();
    let script = "python3 ../../../open.py ../../../open && echo ../../../open/bin/python3.* && ../../../open/bin/python3.* -c 'import rtpkg, json'";
    let python = case.sh(script).exits(0).out.trim().to_string();
    let flags = format!("--tasks t.yaml --cache off --out out --python $(realpath {python})");
    case.fairmark(&format!("run --model mock:texts=answers.jsonl {flags}")).exits(0).scores("0.0000");
}

pub fn hostile_swept_by_name(case: &Case) {
    let seen = case.sh("./try.sh");
    let lines: Vec<&str> = seen.out.lines().collect();
    assert_eq!(lines[..2], ["a link: exit 0", "level0"], "{seen}");
    assert_eq!(lines[2..], ["a pipe (124 is the timeout): exit 0"], "{seen}");
}

pub fn hostile_zygote_follows_links(case: &Case) {
    if case.sh("test $(id -u) = 0 && python3 without_user_namespaces.py 54321 true").code != Some(0) {
        eprintln!("skipped: this needs root and user namespaces");
        return;
    }
    // The binary where that user can read it, the folder where it can write.
    case.sh("cp $FAIRMARK ../../../fairmark && chmod 755 ../../../fairmark && chmod -R u+w . && chown -R 54321 .")
        .exits(0);
    let run = "run --model mock:texts=answers.jsonl --tasks t.yaml --cache off --python /usr/bin/python3";
    for n in 0..3 {
        let seen = case.sh(&format!("python3 without_user_namespaces.py 54321 ../../../fairmark {run} --out out-{n}"));
        seen.exits(0).scores("0.0000").never_says("not scored").within(15.0);
    }
}
