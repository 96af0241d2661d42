//! `fairmark power`: what a run of some size can see, and what it cannot, before it is made.

use super::args::TaskArgs;
use super::report::{Format, FormatArgs, print_json};
use super::screen::screen;
use super::talk;
use crate::catalog::Catalog;
use crate::compare::power::{Outlook, Planned, PlannedGroup, Scale, Wish, of_data, of_runs};
use crate::error::{Error, Result};
use crate::read;
use crate::report::render_power;
use crate::runner::{Limit, PreparedTask, prepare};
use crate::stats::{Demand, Level, Weighting};
use crate::task::{Group, Node, Task, groups_under, tasks_under};
use clap::Args;
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `fairmark power`.
#[derive(Args)]
pub struct PowerArgs {
    /// Tasks, groups, tags, globs (`mmlu_*`) or task files; with --baseline tasks and groups of that run (default: all of them).
    #[arg(long, short, value_name = "TASK,...", value_delimiter = ',', required_unless_present = "baseline")]
    tasks: Vec<String>,

    /// A finished run whose scores and documents the next one will have. No data are read then.
    #[arg(long, value_name = "RUN")]
    baseline: Option<PathBuf>,

    /// A second run over the same documents: how many verdicts flip between the two is taken for the next pair, too.
    #[arg(long, value_name = "RUN", requires = "baseline")]
    candidate: Option<PathBuf>,

    /// The difference that is to be seen, like 0.02: how many documents that takes, and whether a task has them.
    #[arg(long, value_name = "POINTS")]
    difference: Option<f64>,

    /// Only the first N documents of each task, or a fraction of them (below 1).
    #[arg(long, value_name = "N|FRACTION")]
    limit: Option<f64>,

    #[command(flatten)]
    task: TaskArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// Prints what a run of these tasks can see.
pub fn power(args: &PowerArgs) -> Result<ExitCode> {
    let format = Format::from(args.format);
    if format == Format::Csv {
        return Err(Error::input("`fairmark power` has no CSV").hint("`--json` gives all figures unrounded"));
    }
    if let Some(difference) = args.difference.filter(|difference| !(*difference > 0.0 && *difference < f64::INFINITY)) {
        return Err(Error::input(format!("--difference {difference} is no difference to be seen"))
            .hint("write it as the scores are: two points of accuracy are 0.02"));
    }
    let wish = Wish { difference: args.difference, demand: Demand::USUAL, level: Level::P95 };
    let limit = args.limit.map(Limit::new).transpose()?;
    let outlooks = match &args.baseline {
        Some(path) => {
            let base = read::open_finished(path)?;
            let candidate = args.candidate.as_ref().map(|path| read::open_finished(path)).transpose()?;
            let selected = Some(args.tasks.as_slice()).filter(|tasks| !tasks.is_empty());
            let keep = |n: usize| limit.map_or(n, |limit| limit.of(n));
            of_runs(&base, candidate.as_ref(), selected, &keep, wish)?
        }
        None => from_data(args, limit, wish)?,
    };
    match format {
        Format::Json => print_json(&outlooks)?,
        _ => {
            let (style, _) = screen(format == Format::Markdown);
            talk::print_styled(&render_power(&outlooks, wish, style))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Finds the documents of the tasks, as a run does before it loads a model.
fn from_data(args: &PowerArgs, limit: Option<Limit>, wish: Wish) -> Result<Vec<Outlook>> {
    let catalog = Catalog::load(&args.task.include_path)?;
    talk::warnings(&catalog.warnings());
    let nodes = catalog.select(&args.tasks)?;
    let source = args.task.data_source(false)?;
    let prepared = prepare(nodes, &source, &args.task.prompt_options()?, limit, &mut |_| {})?;
    talk::remarks(&prepared.remarks());
    let tasks: Vec<Planned> = prepared.tasks.iter().map(planned).collect();
    Ok(of_data(&groups(&prepared.nodes), &tasks, wish))
}

fn planned(prepared: &PreparedTask) -> Planned {
    let clusters: HashSet<&String> = prepared.items.iter().filter_map(|item| item.cluster.as_ref()).collect();
    let documents = prepared.items.len();
    Planned {
        name: prepared.task.name.clone(),
        documents,
        scale: scale(&prepared.task),
        clusters: Some(clusters.len()).filter(|count| *count > 0 && *count < documents),
    }
}

/// Whether the first metric of a task is right or wrong for each document, as far as its file says. Functions and judges may give any score.
fn scale(task: &Task) -> Scale {
    const RIGHT_OR_WRONG: [&str; 6] = ["acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "pass@1"];
    let first = task.metrics.first().map(|metric| metric.name.as_str());
    let plain = task.process_results.is_none() && task.repeats == 1;
    match first.is_some_and(|name| RIGHT_OR_WRONG.contains(&name)) && plain {
        true => Scale::RightOrWrong,
        false => Scale::Unknown,
    }
}

/// The groups of what was selected, outer ones first, with how they weigh their tasks.
fn groups(nodes: &[Node]) -> Vec<PlannedGroup> {
    // Inner ones come first there.
    let mut inner_first = groups_under(nodes);
    inner_first.reverse();
    inner_first.into_iter().map(|group| planned_group(group)).collect()
}

fn planned_group(group: &Group) -> PlannedGroup {
    let by_size = group.aggregates.first().map(|aggregate| aggregate.weight_by_size);
    let tasks = tasks_under(&group.children).into_iter().map(|task| task.name.clone());
    PlannedGroup {
        name: group.name.clone(),
        tasks: tasks.collect(),
        weighting: by_size.map(|by_size| if by_size { Weighting::Micro } else { Weighting::Macro }),
    }
}
