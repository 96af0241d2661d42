//! `fairmark cache`: what the response cache holds, looking at answers, taking them out.

use crate::engine::cache::{self, ModelStats, Pruned, Selection, Stats};
use crate::engine::local::show_bytes;
use crate::error::{Error, Result};
use crate::report::{Grid, Look};
use crate::visible;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Units of `--older-than`, in seconds.
const UNITS: &[(&str, u64)] = &[("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)];

/// Columns of `fairmark cache info`, and whether they hold numbers.
const COLUMNS: &[(&str, bool)] = &[
    ("Model", false),
    ("Format", false),
    ("Answers", true),
    ("Refused", true),
    ("Prompt tokens", true),
    ("Completion tokens", true),
    ("Size", true),
    ("Oldest", false),
    ("Newest", false),
];

/// Flags of `fairmark cache`.
#[derive(Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    verb: Verb,

    /// File of the response cache (default: `responses.sqlite` in the user's cache folder).
    #[arg(long, value_name = "FILE", global = true)]
    cache_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    /// Say how large it is and what it holds of which model.
    Info,
    /// Print where it is.
    Path,
    /// Print the answers to requests whose key begins so (a run's journal.jsonl has the keys).
    Show {
        #[arg(value_name = "KEY-PREFIX")]
        key: String,
    },
    /// Take answers out: those that fit all that is named.
    Prune(PruneArgs),
}

#[derive(Args)]
#[group(id = "which", required = true, multiple = true)]
struct PruneArgs {
    /// Answers older than this: `30d`, `12h`, `2w`.
    #[arg(long, value_name = "AGE", value_parser = parse_age, group = "which")]
    older_than: Option<u64>,

    /// Answers of models whose name fits a pattern (`openai:*`).
    #[arg(long, value_name = "GLOB", group = "which")]
    model: Option<String>,

    /// All answers.
    #[arg(long, group = "which", conflicts_with_all = ["older_than", "model"])]
    all: bool,

    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
}

/// Looks at the cache or takes answers out of it.
pub fn cache(args: &CacheArgs) -> Result<ExitCode> {
    let file = args.cache_file.clone().map_or_else(cache::default_file, Ok)?;
    let text = match &args.verb {
        Verb::Info => info(&cache::stats(&file)?),
        Verb::Path => format!("{}\n", file.display()),
        Verb::Show { key } => show(&file, key)?,
        Verb::Prune(prune) => {
            let selection =
                Selection { before: prune.older_than.map(|age| now() - age as i64), model: prune.model.clone() };
            pruned(&cache::prune(&file, &selection, prune.dry_run)?, prune.dry_run)
        }
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn info(stats: &Stats) -> String {
    let answers: u64 = stats.models.iter().map(|model| model.answers).sum();
    let size = show_bytes(stats.bytes as usize);
    let head = format!("{}: {size}, {answers} answers\n", stats.file.display());
    if stats.models.is_empty() {
        return head;
    }
    let mut grid = Grid::new(Look::Lines, false);
    grid.header(COLUMNS.iter().map(|(name, _)| *name));
    for model in &stats.models {
        grid.row(row(model));
    }
    grid.right(|index| COLUMNS.get(index).is_some_and(|(_, is_number)| *is_number));
    head + &grid.draw()
}

fn row(model: &ModelStats) -> Vec<String> {
    // Answers without a line about their model: only an identity is known.
    let name = if model.name.is_empty() { model.identity.chars().take(12).collect() } else { model.name.clone() };
    let counts = [model.answers, model.refused, model.prompt_tokens, model.completion_tokens].map(|n| n.to_string());
    let rest = [show_bytes(model.bytes as usize), date(model.oldest), date(model.newest)];
    [name, model.engine.clone()].into_iter().chain(counts).chain(rest).collect()
}

fn show(file: &Path, key: &str) -> Result<String> {
    let found = cache::find(file, key)?;
    if found.is_empty() {
        return Err(Error::input(format!("no answer to a request `{key}...`")).file(file));
    }
    let shown = |found: &cache::Found| {
        let (key, model) = (visible::line(&found.key), visible::line(&found.model));
        format!("{key}  {}  {model}\n{}\n", date(found.at), found.answer)
    };
    Ok(found.iter().map(shown).collect())
}

fn pruned(pruned: &Pruned, dry_run: bool) -> String {
    let (answers, size) = (pruned.answers, show_bytes(pruned.bytes as usize));
    let anew = if pruned.vacuumed { "; the file was written anew" } else { "" };
    if dry_run {
        format!("would remove {answers} answers, {size}\n")
    } else {
        format!("removed {answers} answers, {size}{anew}\n")
    }
}

/// `2026-11-24 02:05` (UTC).
fn date(seconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp(seconds, 0);
    time.map_or_else(|| seconds.to_string(), |time| time.format("%Y-%m-%d %H:%M").to_string())
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}

/// An age in seconds, for clap.
fn parse_age(text: &str) -> std::result::Result<u64, String> {
    let hint = "write a whole number with a unit, like `30d`, `12h`, `90m` or `2w`";
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is no age; {hint}"))?;
    let Some((_, seconds)) = UNITS.iter().find(|(name, _)| *name == unit.trim()) else {
        return Err(format!("`{text}` has no unit of time; {hint}"));
    };
    // So far back that nothing is older is as good as never.
    Ok(number.saturating_mul(*seconds).min(i64::MAX as u64 / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CacheArgs,
    }

    fn parse(args: &[&str]) -> std::result::Result<CacheArgs, clap::Error> {
        Line::try_parse_from(["cache"].iter().chain(args)).map(|line| line.args)
    }

    #[test]
    fn ages() {
        for (text, seconds) in [("30d", 2_592_000), ("12h", 43_200), ("90m", 5400), ("2 w", 1_209_600), ("0d", 0)] {
            assert_eq!(parse_age(text), Ok(seconds), "{text}");
        }
        for (text, says) in [("", "no age"), ("d", "no age"), ("-1d", "no age"), ("30", "no unit"), ("3y", "no unit")] {
            let err = parse_age(text).unwrap_err();
            assert!(err.contains(says) && err.contains("`30d`"), "{text}: {err}");
        }
        assert!(parse_age("99999999999999999999w").is_err());
        assert!(parse_age("999999999999999999w").unwrap() <= i64::MAX as u64 / 2);
    }

    #[test]
    fn pruning_says_what() {
        assert!(parse(&["prune"]).is_err(), "nothing named is not everything");
        assert!(parse(&["prune", "--all", "--model", "x"]).is_err());
        for line in [&["prune", "--all"][..], &["prune", "--model", "x", "--older-than", "1d", "--dry-run"]] {
            assert!(parse(line).is_ok(), "{line:?}");
        }
        assert!(parse(&["info", "--cache-file", "x"]).is_ok() && parse(&["--cache-file", "x", "path"]).is_ok());
    }

    #[test]
    fn without_a_cache_everything_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("none.sqlite");
        let file = file.to_str().unwrap();
        for line in [&["info"][..], &["show", "ab"], &["prune", "--all"], &["prune", "--all", "--dry-run"]] {
            let mut line = line.to_vec();
            line.extend(["--cache-file", file]);
            let error = cache(&parse(&line).unwrap()).unwrap_err().to_string();
            assert!(error.contains("no response cache yet") && error.contains(file), "{error}");
        }
        assert!(cache(&parse(&["path", "--cache-file", file]).unwrap()).is_ok());
    }

    #[test]
    fn what_is_said() {
        let model = ModelStats {
            identity: "ab".repeat(32),
            engine: "openai-chat".into(),
            name: "openai:m".into(),
            label: "m".into(),
            answers: 1200,
            refused: 2,
            prompt_tokens: 50_000,
            completion_tokens: 900,
            bytes: 2048,
            oldest: 1_700_000_000,
            newest: 1_700_086_400,
        };
        let orphan = ModelStats { name: String::new(), answers: 1, ..model.clone() };
        let text = info(&Stats { file: "c.sqlite".into(), bytes: 4096, models: vec![model, orphan] });
        assert!(text.starts_with("c.sqlite: ") && text.contains("1201 answers"), "{text}");
        assert!(
            text.contains("openai:m") && text.contains("2023-11-14 22:13") && text.contains("abababababab "),
            "{text}"
        );
        assert_eq!(info(&Stats { file: "c".into(), bytes: 0, models: vec![] }).lines().count(), 1);
        let some = Pruned { answers: 3, bytes: 10, vacuumed: true };
        assert!(pruned(&some, true).starts_with("would remove 3") && pruned(&some, false).contains("anew"));
        assert_eq!(date(i64::MAX), i64::MAX.to_string());
    }
}
