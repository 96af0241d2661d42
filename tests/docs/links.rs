//! Links between documents: the files and the headings are there.

use super::pages::{read, root, split};
use fancy_regex::Regex;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// What is wrong with the links of a document.
pub fn problems(page: &str) -> Vec<String> {
    let text = read(page);
    let (_, prose) = split(&text);
    let link = Regex::new(r"\]\(([^()\s]+)\)").unwrap();
    let code = Regex::new(r"`[^`]*`").unwrap();
    let mut problems = Vec::new();
    for (index, line) in prose.iter().enumerate() {
        let line = code.replace_all(line, "code");
        for found in link.captures_iter(line.as_ref()) {
            let target = found.unwrap()[1].to_owned();
            if !target.contains("://") && !target.starts_with("mailto:") {
                problems.extend(problem(page, &target).map(|why| format!("{page}:{}: ({target}): {why}", index + 1)));
            }
        }
    }
    problems
}

fn problem(page: &str, target: &str) -> Option<String> {
    let (file, heading) = target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let to = match file {
        "" => PathBuf::from(page),
        file => clean(&Path::new(page).parent().unwrap().join(file)),
    };
    if !root().join(&to).exists() {
        return Some(format!("there is no {}", to.display()));
    }
    let heading = heading?;
    let (there, text) = (to.display().to_string(), read(&to.display().to_string()));
    (!anchors(&text).contains(heading)).then(|| format!("{there} has no heading `{heading}`"))
}

/// Without `..`.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

/// Headings as GitHub links to them: lower case, spaces as dashes, no punctuation; from the second one of a name on with a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for line in split(text).1.iter().filter(|line| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let name: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let free = std::iter::once(name.clone()).chain((1..).map(|n| format!("{name}-{n}"))).find(|n| !all.contains(n));
        all.extend(free);
    }
    all
}
