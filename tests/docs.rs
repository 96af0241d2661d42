//! Documents say what is so: every command in them runs, and prints what stands below it; flags and links are there.
//!
//! Commands that call fairmark are run with the built binary, one after another for each document, in a folder that looks like the
//! repository's root and in which every model, data set and server that they name exists (`docs/world.rs`). Two things are changed: ports
//! are those of toy servers, and `--limit 2` is put in where a command has no limit and no output stands below it, so that this takes
//! seconds. Commands on `../shared` are run where that folder is. Commands of other programs: `docs/others.rs`.
#![cfg(unix)]

mod figures;
mod help;
mod server;

#[path = "docs/flags.rs"]
mod flags;
#[path = "docs/hub.rs"]
mod hub;
#[path = "docs/links.rs"]
mod links;
#[path = "docs/others.rs"]
mod others;
#[path = "docs/pages.rs"]
mod pages;
#[path = "docs/world.rs"]
mod world;

use fairmark::sandbox::{Sandbox, Settings};
use std::io::Write;
use world::World;

/// A test for each document, so that they run side by side and a failure names its page.
macro_rules! documents {
    ($($test:ident: $page:literal,)*) => {
        const DOCUMENTS: &[&str] = &[$($page),*];
        mod commands_of {
            $(#[test] fn $test() { super::run_all($page); })*
        }
    };
}

documents! {
    benches_peers: "benches/peers/README.md",
    contributing: "CONTRIBUTING.md",
    datasets: "datasets/README.md",
    datasets_demo: "datasets/demo/README.md",
    datasets_demo_model: "datasets/demo/model/README.md",
    docs_benchmarks: "docs/benchmarks.md",
    docs_compare: "docs/compare.md",
    docs_endpoints: "docs/endpoints.md",
    docs_from_lm_eval: "docs/from-lm-eval.md",
    docs_index: "docs/README.md",
    docs_models: "docs/models.md",
    docs_performance: "docs/performance.md",
    docs_quantisation: "docs/quantisation.md",
    docs_security: "docs/security.md",
    docs_statistics: "docs/statistics.md",
    docs_tasks: "docs/tasks.md",
    docs_templates: "docs/templates.md",
    docs_toxicity: "docs/toxicity.md",
    readme: "README.md",
}

#[test]
fn every_document_has_a_test() {
    let mut listed: Vec<&str> = DOCUMENTS.to_vec();
    listed.sort_unstable();
    assert_eq!(pages::found(), listed, "documents! in tests/docs.rs has a line for each document");
}

#[test]
fn flags_and_verbs_exist() {
    let known = flags::Known::ask();
    assert!(known.verbs.contains("run") && known.flags.contains("--tasks"), "help is read");
    let problems: Vec<String> = DOCUMENTS.iter().flat_map(|page| flags::problems(page, &known)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn links_lead_somewhere() {
    let pages = DOCUMENTS.iter().copied().chain(["DESIGN.md", "CHANGELOG.md"]);
    let problems: Vec<String> = pages.flat_map(links::problems).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_page_for_users_of_lm_eval_names_all_its_flags() {
    let page = pages::read("docs/from-lm-eval.md");
    let missing: Vec<&str> =
        flags::of_lm_eval().into_iter().filter(|flag| !page.contains(&format!("`{flag}`"))).collect();
    assert!(missing.is_empty(), "docs/from-lm-eval.md says nothing of {missing:?}");
}

/// Runs or checks every command of a document.
fn run_all(page: &str) {
    let text = pages::read(page);
    let blocks = pages::split(&text).0;
    let commands = pages::commands(&blocks);
    if commands.is_empty() {
        return;
    }
    let mut world = World::new();
    for (path, text) in pages::written_files(&blocks) {
        world.write(&path, text);
    }
    let problems: Vec<String> = commands.iter().filter_map(|command| problem(page, &mut world, command)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// What is wrong with a command.
fn problem(page: &str, world: &mut World, command: &pages::Command) -> Option<String> {
    let place = format!("{page}:{}: {}", command.line, command.text);
    let Some(ours) = others::of_fairmark(&command.text) else {
        return others::check(&command.text).err().map(|why| format!("{place}\n{why}"));
    };
    if ours.contains("../shared") && !pages::root().join("../shared").is_dir() {
        // Past the test harness, which keeps what passing tests print to itself.
        let _ = writeln!(std::io::stderr(), "skipped: {place}: ../shared is not there");
        return None;
    }
    let ready = match world.prepare(&ours) {
        Ok(ready) if command.prints.is_none() => limited(&ready),
        Ok(ready) => ready,
        Err(why) => return Some(format!("{place}\n{why}")),
    };
    let outcome = world.run(&ready);
    let is_well = match outcome.code {
        Some(0) => true,
        // Programs are not run where there is no sandbox, which is said and has these exit codes: with other tasks, and without.
        Some(3) => outcome.stderr.contains(" is not run: ") && Sandbox::open(Settings::default()).is_err(),
        Some(2) => outcome.stderr.contains("no task can be run: ") && Sandbox::open(Settings::default()).is_err(),
        _ => false,
    };
    if !is_well {
        let code =
            outcome.code.map_or("none: ended by a signal, or after too long a time".to_owned(), |c| c.to_string());
        return Some(format!("{place}\nrun as: {ready}\nexit code {code}\n{}{}", outcome.stdout, outcome.stderr));
    }
    let written = command.prints.as_deref().filter(|_| outcome.code == Some(0))?;
    (!pages::is_printed(written, &outcome.stdout)).then(|| format!("{place}\nprints\n{}not\n{written}", outcome.stdout))
}

/// With `--limit 2` where there is no limit.
fn limited(command: &str) -> String {
    if command.contains("--limit") {
        return command.to_owned();
    }
    ["run ", "scorer-agreement "].iter().fold(command.to_owned(), |command, verb| {
        let called = ["fairmark ", "$FAIRMARK "].map(|name| format!("{name}{verb}"));
        called.iter().fold(command, |command, called| command.replacen(called, &format!("{called}--limit 2 "), 1))
    })
}
