//! One model's run, from prompts that suit it to the files of its folder.

use super::environment::environment;
use super::write::{Names, write_outputs};
use super::{Event, Limit, Means, Prepared, RunFolder, execute, plan_protocol, prepare};
use crate::data::DataSource;
use crate::engine::{Engine, Prompts};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::ISA_VARIABLE;
use crate::price::PriceTable;
use crate::prompt::PromptOptions;
use crate::run::{Effort, PrintedDate, Spec};
use crate::task::{ChoiceProtocol, Node};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What all models of a command are asked, and where their runs go.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Names as the user gave them, and what they mean.
    pub selected: &'a [String],
    pub nodes: &'a [Node],
    pub source: &'a DataSource,
    pub options: &'a PromptOptions,
    /// The protocol for multiple-choice tasks that the user asked for; `None`: the first that a model can do.
    pub protocol: Option<ChoiceProtocol>,
    /// As it was written, too.
    pub limit: Option<(Limit, f64)>,
    pub bootstrap_iters: usize,
    /// Whether the user named the date that prompts print.
    pub date_chosen: bool,
    /// Folder for run folders.
    pub out: &'a Path,
    pub threads: usize,
    pub kv_memory: Option<usize>,
    /// Forget what an equal run recorded.
    pub fresh: bool,
    /// Ask again what was refused.
    pub retry_refused: bool,
    pub prices: &'a PriceTable,
}

impl Job<'_> {
    /// Runs one model. `prepared`: what was made with the options as they stand, if it is still there. Returns the run's folder, in which
    /// everything is.
    ///
    /// # Errors
    /// The model cannot be asked such tasks; the folder cannot be written; the run was stopped before its end (what was answered is kept).
    pub fn run(
        &self,
        means: &Means<'_>,
        prepared: Option<Prepared>,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<PathBuf> {
        let engine = means.engine;
        let suited = self.suited(means, on_event)?;
        let prepared = match prepared {
            Some(prepared) if suited == *self.options => prepared,
            _ => {
                let limit = self.limit.map(|(limit, _)| limit);
                prepare(self.nodes.to_vec(), self.source, &suited, limit, on_event)?
            }
        };
        let prepared = prepared.judged_by(means.judges);
        on_event(Event::Ready { requests: prepared.num_requests() });
        // What a probe found out is said before the work, what the work brought up after it.
        let known = engine.notices();
        known.iter().for_each(|notice| on_event(Event::Note(notice.clone())));
        let remarked = engine.remarks();
        on_event(Event::Remarks(remarked.clone()));
        let finished = self.answered(&suited, means, prepared, on_event);
        for notice in engine.notices().into_iter().filter(|notice| !known.contains(notice)) {
            on_event(Event::Note(notice));
        }
        let mut remarks = engine.remarks();
        remarks.retain(|remark| !remarked.contains(remark));
        let folder = finished.map(|(folder, audited)| {
            remarks.extend(audited);
            folder
        });
        on_event(Event::Remarks(remarks));
        folder
    }

    /// The prompts that this engine can take.
    fn suited(&self, means: &Means<'_>, on_event: &mut dyn FnMut(Event)) -> Result<PromptOptions> {
        let capabilities = means.engine.capabilities();
        let plan = plan_protocol(&capabilities, self.protocol, self.nodes)?;
        plan.messages().into_iter().for_each(|note| on_event(Event::Note(note)));
        let mut suited = PromptOptions { choices: plan.protocol, ..self.options.clone() };
        if capabilities.prompts == Prompts::ChatOnly && !self.options.chat {
            on_event(Event::Note("a chat endpoint: prompts are sent as turns".into()));
            suited.chat = true;
        }
        Ok(suited)
    }

    /// Run folder, answers, files; with what the engine says of its answers.
    fn answered(
        &self,
        options: &PromptOptions,
        means: &Means<'_>,
        prepared: Prepared,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(PathBuf, Vec<crate::remark::Remark>)> {
        let started = Instant::now();
        let engine = means.engine;
        let spec = self.spec(options, means, &prepared);
        let effort = Effort { threads: self.threads, kv_memory: self.kv_memory };
        let mut folder = RunFolder::open(self.out, spec, effort, environment(), self.fresh)?;
        settle(&folder, means, on_event);
        folder.check_files(&Names::new(&folder, prepared.tasks.iter().map(|t| t.task.name.as_str())).all())?;
        on_event(Event::Opened {
            folder: folder.path.clone(),
            recorded: folder.num_recorded(),
            complete: folder.is_complete(),
        });
        if self.retry_refused {
            folder.forget_refusals();
        }
        let finished = execute(prepared, means, &mut folder, self.bootstrap_iters, on_event);
        self.write_usage(engine, &folder, on_event)?;
        let finished =
            finished.map_err(|err| if err.kind() == ErrorKind::Incomplete { err.file(&folder.path) } else { err })?;
        if finished.missing > 0 {
            let message = format!("stopped with {} answers or judgements to go", finished.missing);
            return Err(Error::new(ErrorKind::Incomplete, message)
                .file(&folder.path)
                .hint("what was answered is kept; run the same command again to continue"));
        }
        write_outputs(&mut folder, &finished, means, started.elapsed().as_secs_f64())?;
        on_event(Event::Written { folder: folder.path.clone() });
        Ok((folder.path.clone(), engine.audit(&finished.answers())))
    }

    /// Writes what the run took so far.
    fn write_usage(&self, engine: &dyn Engine, folder: &RunFolder, on_event: &mut dyn FnMut(Event)) -> Result<()> {
        let identity = engine.identity();
        let model = identity.options.iter().find_map(|option| option.strip_prefix("model=")).unwrap_or(&identity.name);
        let mut report = folder.totals().report(self.prices.price(model).as_ref());
        report.memory_bytes = engine.memory_bytes();
        let text =
            serde_json::to_string_pretty(&report).map_err(|e| Error::input("cannot encode the usage").cause(e))?;
        folder.write_file("usage.json", format!("{text}\n").as_bytes())?;
        on_event(Event::Used(Box::new(report)));
        Ok(())
    }

    fn spec(&self, options: &PromptOptions, means: &Means<'_>, prepared: &Prepared) -> Spec {
        Spec {
            model: means.engine.identity().clone(),
            tasks: prepared.tasks.iter().map(|t| t.spec.clone()).collect(),
            selected: self.selected.to_vec(),
            num_fewshot: options.num_fewshot,
            limit: self.limit.map(|(_, written)| written),
            seed: options.seed,
            fewshot_seed: options.fewshot_seed,
            apply_chat_template: options.chat,
            fewshot_as_multiturn: options.fewshot_as_multiturn,
            system_instruction: options.system_instruction.clone(),
            gen_kwargs: options.gen_kwargs.clone(),
            bootstrap_iters: self.bootstrap_iters,
            judges: means
                .judges
                .all()
                .filter(|(row, _)| row.chosen)
                .map(|(_, judge)| judge.identity().clone())
                .collect(),
            date: means.engine.date().map(|at| PrintedDate { at, chosen: self.date_chosen }),
        }
    }
}

/// Takes the date that prompts print from the run, which may have begun on another day, and says what the user should know about the
/// folder.
fn settle(folder: &RunFolder, means: &Means<'_>, on_event: &mut dyn FnMut(Event)) {
    if let Some(date) = folder.header.spec.date {
        means.engine.set_date(date.at);
        let else_today = if date.chosen { "" } else { "; --date sets another one" };
        let shown = date.at.shown();
        on_event(Event::Note(format!("the chat template prints the date; this run uses {shown}{else_today}")));
    }
    if let (0, Some((path, isa))) = (folder.num_recorded(), folder.elsewhere()) {
        let path = path.display();
        on_event(Event::Note(format!(
            "{path} is this run by another instruction set, whose last bits differ; {ISA_VARIABLE}={isa} before the command goes on there"
        )));
    }
}
