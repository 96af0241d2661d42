//! `fairmark ls`: tasks, groups, metrics, filters, benchmarks, judges, toxicity scorers, architectures, precisions, endpoints, prices.

use super::precision::Level;
use super::talk;
use crate::catalog::{Catalog, Entry, Kind};
use crate::engine::remote::address::{ENDPOINTS, Endpoint};
use crate::error::{Error, Result};
use crate::judge::{JUDGES, LLM_SCORER};
use crate::price::PriceTable;
use crate::report::{Benchmark, CARD, Grid, HEADINGS, Look, benchmarks_markdown};
use crate::toxicity::TOXICITY_SCORERS;
use crate::{model, score};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `fairmark ls`.
#[derive(Args)]
pub struct LsArgs {
    #[arg(value_enum)]
    what: What,

    /// Further folders of task files.
    #[arg(long, value_name = "DIR")]
    include_path: Vec<PathBuf>,

    /// A page of Markdown instead of a table (benchmarks).
    #[arg(long)]
    markdown: bool,

    /// A price table over the built-in one.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy)]
enum What {
    Tasks,
    Groups,
    Tags,
    Metrics,
    Filters,
    Aggregations,
    /// The rows of the Gemma card and the tasks that stand for them.
    Benchmarks,
    Judges,
    Scorers,
    Architectures,
    Precisions,
    Endpoints,
    Prices,
}

/// Prints a list on stdout, a line each.
pub fn ls(args: &LsArgs) -> Result<ExitCode> {
    if args.markdown {
        return match args.what {
            What::Benchmarks => {
                super::print(&benchmarks_markdown(&benchmarks(&args.include_path)?))?;
                Ok(ExitCode::SUCCESS)
            }
            _ => Err(Error::input("only benchmarks can be listed as Markdown").key("--markdown")),
        };
    }
    let rows: Vec<Vec<String>> = match args.what {
        What::Tasks => entries(&args.include_path, Kind::Task)?,
        What::Groups => entries(&args.include_path, Kind::Group)?,
        What::Tags => entries(&args.include_path, Kind::Tag)?,
        What::Metrics => score::METRICS.iter().map(metric_row).collect(),
        What::Filters => score::FILTERS.iter().map(|f| row([f.name, f.doc])).collect(),
        What::Aggregations => score::AGGREGATIONS.iter().map(|a| row([a.name, a.doc])).collect(),
        What::Judges => JUDGES.iter().map(|j| row([j.name, &j.args.join(", "), j.doc])).collect(),
        What::Benchmarks => benchmark_rows(&benchmarks(&args.include_path)?),
        What::Scorers => TOXICITY_SCORERS.iter().map(|s| [s.form, s.doc]).chain([LLM_SCORER]).map(row).collect(),
        What::Architectures => model::ARCHES.iter().map(|a| row([a.class, a.doc])).collect(),
        What::Precisions => Level::all().map(|(name, doc)| row([name, doc])).collect(),
        What::Endpoints => ENDPOINTS.iter().map(endpoint_row).collect(),
        What::Prices => price_rows(args.prices.as_deref())?,
    };
    let mut grid = Grid::new(Look::Bare, false);
    for row in rows {
        grid.row(row);
    }
    grid.padding((0, 1), |column| column == 0);
    super::print(&grid.draw())?;
    Ok(ExitCode::SUCCESS)
}

fn benchmarks(include_path: &[PathBuf]) -> Result<Vec<Benchmark>> {
    Benchmark::of_nodes(&Catalog::load(include_path)?.select(&[CARD.to_owned()])?)
}

fn benchmark_rows(benchmarks: &[Benchmark]) -> Vec<Vec<String>> {
    std::iter::once(row(HEADINGS)).chain(benchmarks.iter().map(Benchmark::cells)).collect()
}

fn metric_row(metric: &score::MetricRow) -> Vec<String> {
    let types: Vec<&str> = metric.output_types.iter().map(|t| t.as_str()).collect();
    let direction = if metric.higher_is_better { "↑" } else { "↓" };
    row([metric.name, direction, &types.join(", "), metric.doc])
}

/// `anthropic  https://...  ANTHROPIC_API_KEY  anthropic  Anthropic, by /messages`
fn endpoint_row(endpoint: &Endpoint) -> Vec<String> {
    let wires: Vec<&str> = endpoint.wires.iter().map(|wire| wire.name()).collect();
    let url = endpoint.base_url.or(endpoint.base_var).unwrap_or("(an address)");
    row([endpoint.name, url, endpoint.key_vars.first().copied().unwrap_or("-"), &wires.join(", "), endpoint.about])
}

/// US dollars for a million tokens: input, input from the provider's cache, output.
fn price_rows(file: Option<&Path>) -> Result<Vec<Vec<String>>> {
    let header = row(["model", "input", "cached", "output", "as of", ""]);
    let rows = PriceTable::load(file)?.list();
    Ok(std::iter::once(header).chain(rows).collect())
}

fn entries(include_path: &[PathBuf], kind: Kind) -> Result<Vec<Vec<String>>> {
    let catalog = Catalog::load(include_path)?;
    talk::warnings(&catalog.warnings());
    Ok(catalog.entries().filter(|e| e.kind == kind).map(entry_row).collect())
}

fn entry_row(entry: &Entry) -> Vec<String> {
    let file = entry.origin.file.display().to_string();
    match entry.kind {
        Kind::Task | Kind::PythonTask => {
            let output_type = entry.output_type.as_deref().unwrap_or("generate_until");
            row([&entry.name, output_type, entry.dataset.as_deref().unwrap_or_default(), &file])
        }
        Kind::Group => row([&entry.name, entry.alias.as_deref().unwrap_or_default(), &file]),
        Kind::Tag => row([&entry.name, &format!("{} tasks", entry.members.len())]),
    }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.iter().map(|c| c.to_string()).collect()
}
