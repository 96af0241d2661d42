//! Which files of a dataset repository (or folder) are which split of which configuration, as `datasets` decides it: by the
//! `configs` of the dataset card, else by the names of files and folders.

use super::table::Format;
use crate::error::{Error, Result, nearest};
use crate::pattern::{PathPattern, is_path_pattern};
use crate::yaml::{Value, Yaml, parse_texts};
use std::path::Path;
use std::sync::Arc;

/// A configuration: its name, and its splits with their files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Config {
    pub name: String,
    pub is_default: bool,
    pub splits: Vec<SplitFiles>,
}

/// The files of a split, in reading order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SplitFiles {
    pub split: String,
    pub files: Vec<String>,
    /// Only the first rows are there (the hub converts at most 5 GB).
    pub partial: bool,
}

/// The usual splits and the words that stand for them in file names.
const KEYWORDS: &[(&str, &[&str])] = &[
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// Files that are never data.
const NOT_DATA: &[&str] =
    &["config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "package.json"];

/// The configurations of a repository or folder, from its file names and its card (`README.md`). Where only some of the files are
/// known (`!complete`), splits whose files are not among them are there without files.
pub(super) fn configs(
    files: &[String],
    card: Option<&str>,
    data_dir: Option<&str>,
    complete: bool,
) -> Result<Vec<Config>> {
    if let Some(dir) = data_dir {
        let splits = inferred(files, &folder(dir));
        return Ok(vec![Config { name: "default".into(), is_default: true, splits }]);
    }
    let file = Arc::from(Path::new("README.md"));
    let front = card.and_then(front_matter).map(|text| parse_texts(text, &file)).transpose()?;
    match front.as_ref().and_then(|front| front.get("configs")).and_then(Yaml::as_list) {
        Some(entries) if !entries.is_empty() => {
            entries.iter().map(|entry| carded(files, entry, complete).map_err(|err| err.file("README.md"))).collect()
        }
        _ => Ok(conventional(files)),
    }
}

/// The configurations of the branch `refs/convert/parquet`: `<config>/<split>/0000.parquet`, or `<config>/partial-<split>/…`.
pub(super) fn converted(files: &[String]) -> Vec<Config> {
    let mut configs: Vec<Config> = Vec::new();
    let mut sorted: Vec<&String> = files.iter().filter(|file| file.ends_with(".parquet")).collect();
    sorted.sort();
    for file in sorted {
        let mut parts = file.split('/');
        let (Some(name), Some(folder), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (split, partial) = folder.strip_prefix("partial-").map_or((folder, false), |split| (split, true));
        if configs.last().is_none_or(|config| config.name != name) {
            configs.push(Config { name: name.to_string(), is_default: name == "default", splits: Vec::new() });
        }
        let splits = configs.last_mut().map(|config| &mut config.splits).into_iter();
        for splits in splits {
            match splits.iter_mut().find(|known| known.split == split) {
                Some(known) => known.files.push(file.clone()),
                None => splits.push(SplitFiles { split: split.to_string(), files: vec![file.clone()], partial }),
            }
        }
    }
    configs
}

/// Picks a configuration: the named one; without a name the only one, or the default one.
pub(super) fn select<'a>(configs: &'a [Config], name: Option<&str>, dataset: &str) -> Result<&'a Config> {
    let names: Vec<&str> = configs.iter().map(|config| config.name.as_str()).collect();
    let there_are = || format!("there are: {}", crate::visible::list(&names));
    match (name, configs) {
        (Some(name), _) => configs.iter().find(|config| config.name == name).ok_or_else(|| {
            let err = Error::input(format!("`{dataset}` has no configuration `{name}`"));
            match nearest(name, names.iter().copied()) {
                Some(near) => err.hint(format!("did you mean `{near}`?")),
                None => err.hint(there_are()),
            }
        }),
        (None, [only]) => Ok(only),
        (None, _) => configs.iter().find(|config| config.is_default).ok_or_else(|| {
            let err = Error::input(format!("`{dataset}` has several configurations and the task names none"));
            err.hint(format!("set dataset_name; {}", there_are()))
        }),
    }
}

/// The files of `data_files` patterns, relative to `base` inside the repository; every pattern must find some.
pub(super) fn matching(files: &[String], base: &str, patterns: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for pattern in patterns {
        let full = format!("{base}{}", pattern.strip_prefix("./").unwrap_or(pattern));
        let glob = PathPattern::new(&full);
        let below = format!("{}/", full.trim_end_matches('/'));
        let is_folder = !is_path_pattern(&full);
        let fits = |file: &&String| glob.matches(file) || (is_folder && file.starts_with(&below));
        let mut matches: Vec<String> = files.iter().filter(fits).filter(|file| is_data(file)).cloned().collect();
        if matches.is_empty() {
            return Err(Error::input(format!("no data file fits `{full}`"))
                .hint("data files are .parquet, .jsonl, .json, .csv or .tsv, each also with .gz"));
        }
        matches.sort();
        found.extend(matches.into_iter().filter(|file| !found.contains(file)).collect::<Vec<_>>());
    }
    Ok(best_format(found))
}

/// The YAML between the `---` lines at the top of a card.
fn front_matter(card: &str) -> Option<&str> {
    let rest = card.trim_start_matches('\u{feff}').strip_prefix("---")?;
    let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'))?;
    let end = rest.find("\n---").map(|at| at + 1).or_else(|| rest.starts_with("---").then_some(0))?;
    rest.get(..end)
}

/// One entry of the card's `configs`.
fn carded(files: &[String], entry: &Yaml, complete: bool) -> Result<Config> {
    let name = entry.get("config_name").and_then(Yaml::as_text).unwrap_or("default").to_string();
    let marked = entry.get("default").and_then(Yaml::as_text).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let base = entry.get("data_dir").and_then(Yaml::as_text).map(folder).unwrap_or_default();
    let splits = match entry.get("data_files") {
        None => inferred(files, &base),
        Some(node) => {
            let patterns = data_files(node)?;
            let split = |(split, patterns): (String, Vec<String>)| {
                let files = match matching(files, &base, &patterns) {
                    Err(_) if !complete => Vec::new(),
                    found => found.map_err(|err| err.line(node.line))?,
                };
                Ok(SplitFiles { split, files, partial: false })
            };
            patterns.into_iter().map(split).collect::<Result<_>>()?
        }
    };
    Ok(Config { is_default: marked || name == "default", name, splits })
}

/// `data_files` of a card: patterns (for `train`), a map of splits, or a list of `{split, path}`.
fn data_files(node: &Yaml) -> Result<Vec<(String, Vec<String>)>> {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|entry| Ok((entry.key.key_text(), entry.value.texts()?))).collect(),
        Value::Seq(items) if items.iter().any(|item| item.as_map().is_some()) => items
            .iter()
            .map(|item| match (item.get("split").and_then(Yaml::as_text), item.get("path")) {
                (Some(split), Some(path)) => Ok((split.to_string(), path.texts()?)),
                _ => Err(Error::input("expected `split` and `path`").line(item.line)),
            })
            .collect(),
        _ => Ok(vec![("train".to_string(), node.texts()?)]),
    }
}

/// Without a card: the whole as `default`, and every top folder with splits of its own as a configuration.
fn conventional(files: &[String]) -> Vec<Config> {
    let mut folders: Vec<&str> =
        files.iter().filter_map(|file| file.split_once('/')).map(|(folder, _)| folder).collect();
    folders.sort_unstable();
    folders.dedup();
    let mut configs = vec![Config { name: "default".into(), is_default: true, splits: inferred(files, "") }];
    for name in folders.into_iter().filter(|name| *name != "data" && *name != "default") {
        let splits = named_splits(files, &folder(name));
        if !splits.is_empty() {
            configs.push(Config { name: name.to_string(), is_default: false, splits });
        }
    }
    configs.retain(|config| !config.splits.is_empty());
    configs
}

/// The splits of the files under `base` (`""` or `dir/`), by their names; if no name tells, all are `train`.
fn inferred(files: &[String], base: &str) -> Vec<SplitFiles> {
    let named = named_splits(files, base);
    if !named.is_empty() {
        return named;
    }
    let all: Vec<String> = best_format(data_under(files, base).map(|(_, file)| file.clone()).collect());
    if all.is_empty() {
        return Vec::new();
    }
    vec![SplitFiles { split: "train".into(), files: all, partial: false }]
}

/// The splits that names tell: sharded names first, then folders, then files.
fn named_splits(files: &[String], base: &str) -> Vec<SplitFiles> {
    let sharded = sharded_splits(files, base);
    if !sharded.is_empty() {
        return sharded;
    }
    let in_folder = |path: &str, word: &str| {
        let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
        folders.split('/').any(|folder| has_word(folder, word, false))
    };
    let in_name = |path: &str, word: &str| has_word(path.rsplit('/').next().unwrap_or(path), word, true);
    for test in [&in_folder as &dyn Fn(&str, &str) -> bool, &in_name] {
        let splits: Vec<SplitFiles> = KEYWORDS
            .iter()
            .map(|(split, words)| {
                let fits = |path: &str| words.iter().any(|word| test(path, word));
                let found =
                    data_under(files, base).filter(|(path, _)| fits(path)).map(|(_, file)| file.clone()).collect();
                SplitFiles { split: split.to_string(), files: best_format(found), partial: false }
            })
            .filter(|split| !split.files.is_empty())
            .collect();
        if !splits.is_empty() {
            return splits;
        }
    }
    Vec::new()
}

/// `data/<split>-00000-of-00004<anything>.<ending>`, with any split name.
fn sharded_splits(files: &[String], base: &str) -> Vec<SplitFiles> {
    let digits = "[0-9]".repeat(5);
    let shard = PathPattern::new(&format!("data/*-{digits}-of-{digits}*.*"));
    let mut splits: Vec<SplitFiles> = Vec::new();
    for (path, file) in data_under(files, base).filter(|(path, _)| shard.matches(path)) {
        let name = path.strip_prefix("data/").unwrap_or(path);
        let Some((split, _)) = name.rfind("-of-").and_then(|at| name.get(..at)?.rsplit_once('-')) else { continue };
        match splits.iter_mut().find(|known| known.split == split) {
            Some(known) => known.files.push(file.clone()),
            None => splits.push(SplitFiles { split: split.to_string(), files: vec![file.clone()], partial: false }),
        }
    }
    for split in &mut splits {
        split.files = best_format(std::mem::take(&mut split.files));
    }
    let usual =
        |split: &SplitFiles| KEYWORDS.iter().position(|(name, _)| *name == split.split).unwrap_or(KEYWORDS.len());
    splits.sort_by(|a, b| usual(a).cmp(&usual(b)).then_with(|| a.split.cmp(&b.split)));
    splits
}

/// Data files under `base`, with their path relative to it.
fn data_under<'a>(files: &'a [String], base: &'a str) -> impl Iterator<Item = (&'a str, &'a String)> {
    files.iter().filter_map(move |file| Some((file.strip_prefix(base)?, file))).filter(|(_, file)| is_data(file))
}

fn is_data(file: &str) -> bool {
    let hidden = |part: &str| part.starts_with('.') || part.starts_with("__");
    let name = file.rsplit('/').next().unwrap_or(file);
    Format::of(file).is_some() && !NOT_DATA.contains(&name) && !file.split('/').any(hidden)
}

/// Where a split is there in several formats, one of them: Parquet, else the commonest.
fn best_format(mut files: Vec<String>) -> Vec<String> {
    let count = |format: Format| files.iter().filter(|file| Format::of(file) == Some(format)).count();
    let formats = [Format::Parquet, Format::Json, Format::Csv(b','), Format::Csv(b'\t')];
    let parquet = Some(Format::Parquet).filter(|format| count(*format) > 0);
    let best = parquet.or_else(|| formats.into_iter().rev().max_by_key(|format| count(*format)));
    files.retain(|file| Format::of(file) == best);
    files.sort();
    files
}

/// Whether a name has the word between separators; at the end of the name only if nothing need follow.
fn has_word(name: &str, word: &str, more_follows: bool) -> bool {
    let separator = |c: char| matches!(c, '-' | '.' | '_' | ' ') || c.is_ascii_digit();
    name.match_indices(word).any(|(at, _)| {
        let before = name.get(..at).and_then(|head| head.chars().next_back());
        let after = name.get(at + word.len()..).and_then(|tail| tail.chars().next());
        before.is_none_or(separator) && after.map_or(!more_follows, separator)
    })
}

/// A folder as a prefix: `dir/`.
fn folder(dir: &str) -> String {
    let dir = dir.trim_start_matches("./").trim_matches('/');
    if dir.is_empty() { String::new() } else { format!("{dir}/") }
}

#[cfg(test)]
mod tests {
    //! The repository layouts are those of openai/gsm8k, cais/mmlu, allenai/ai2_arc, Rowan/hellaswag and the like.
    use super::*;

    fn names(files: &[&str]) -> Vec<String> {
        files.iter().map(|file| file.to_string()).collect()
    }

    fn shown(configs: &[Config]) -> Vec<String> {
        let split = |split: &SplitFiles| format!("{}={}", split.split, split.files.join("+"));
        let all = |config: &Config| config.splits.iter().map(split).collect::<Vec<_>>().join(" ");
        configs.iter().map(|config| format!("{}: {}", config.name, all(config))).collect()
    }

    #[test]
    fn card_with_configs() {
        let card = "---\nlicense: mit\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train-*\n  \
                    - split: test\n    path: [main/test-*]\n  default: true\n- config_name: socratic\n  data_dir: socratic\n---\n# x\n";
        let files = names(&[
            "README.md",
            "main/test-00000-of-00001.parquet",
            "main/train-00001-of-00002.parquet",
            "main/train-00000-of-00002.parquet",
            "socratic/train-00000-of-00001.parquet",
        ]);
        let configs = configs(&files, Some(card), None, true).unwrap();
        assert_eq!(
            shown(&configs),
            [
                "main: train=main/train-00000-of-00002.parquet+main/train-00001-of-00002.parquet \
                 test=main/test-00000-of-00001.parquet",
                "socratic: train=socratic/train-00000-of-00001.parquet"
            ]
        );
        assert_eq!(select(&configs, None, "x").unwrap().name, "main");
        assert_eq!(select(&configs, Some("socratic"), "x").unwrap().name, "socratic");
        let err = select(&configs, Some("socrates"), "x").unwrap_err();
        assert!(err.to_string().contains("did you mean `socratic`"), "{err}");
        assert!(select(&configs[1..], None, "x").is_ok());
        let wrong = card.replace("main/test-*", "none/*");
        let err = super::configs(&files, Some(&wrong), None, true).unwrap_err();
        assert!(err.to_string().starts_with("README.md:") && err.to_string().contains("none/*"), "{err}");
    }

    #[test]
    fn names_tell_the_splits() {
        let sharded =
            names(&["data/zeta-00000-of-00001.parquet", "data/train-00000-of-00001-abc.parquet", "data/test.jsonl"]);
        assert_eq!(
            shown(&configs(&sharded, None, None, true).unwrap()),
            ["default: train=data/train-00000-of-00001-abc.parquet zeta=data/zeta-00000-of-00001.parquet"]
        );
        let folders = names(&["train/a.csv", "dev/a.csv", "contrain/b.csv"]);
        assert_eq!(
            shown(&configs(&folders, None, None, true).unwrap())[0],
            "default: train=train/a.csv validation=dev/a.csv"
        );
        let plain =
            names(&["my_test_1.jsonl", "validation.json", "latest.json", ".hidden/train.json", "dataset_infos.json"]);
        assert_eq!(
            shown(&configs(&plain, None, None, true).unwrap()),
            ["default: validation=validation.json test=my_test_1.jsonl"]
        );
        assert_eq!(
            shown(&configs(&names(&["x.csv", "y.csv"]), None, None, true).unwrap()),
            ["default: train=x.csv+y.csv"]
        );
        assert!(configs(&names(&["README.md", "x.py"]), None, None, true).unwrap().is_empty());
    }

    #[test]
    fn folders_as_configurations() {
        let files = names(&["ARC-Easy/test-00000-of-00001.parquet", "ARC-Challenge/test-00000-of-00001.parquet"]);
        let configs = configs(&files, None, None, true).unwrap();
        let easy = select(&configs, Some("ARC-Easy"), "x").unwrap();
        assert_eq!(easy.splits[0].files, ["ARC-Easy/test-00000-of-00001.parquet"]);
        let dir = super::configs(&files, None, Some("ARC-Challenge"), true).unwrap();
        assert_eq!(shown(&dir), ["default: test=ARC-Challenge/test-00000-of-00001.parquet"]);
    }

    #[test]
    fn parquet_beats_other_formats() {
        let files = names(&["train.csv", "train.parquet", "test.csv"]);
        assert_eq!(shown(&configs(&files, None, None, true).unwrap()), ["default: train=train.parquet test=test.csv"]);
    }

    #[test]
    fn converted_branch() {
        let files = names(&[
            "default/train/0001.parquet",
            "default/train/0000.parquet",
            "x/partial-test/0000.parquet",
            "README.md",
        ]);
        let configs = converted(&files);
        assert_eq!(
            shown(&configs),
            [
                "default: train=default/train/0000.parquet+default/train/0001.parquet",
                "x: test=x/partial-test/0000.parquet"
            ]
        );
        assert!(configs[1].splits[0].partial && !configs[0].splits[0].partial);
    }
}
