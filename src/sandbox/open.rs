//! The sandbox itself: opening it, starting processes in it, running whole programs.

use super::canary;
use super::cell::Cell;
use super::host;
use super::interpreter::Interpreter;
use super::outcome::{Ending, Limits, Program, ProgramOutcome, Usage};
use super::pipes::{Lost, Pipes};
use super::process::{Child, Wiring};
use super::report::Report;
use super::scratch;
use super::settings::{Runner, Settings};
use super::template::Template;
use crate::error::{Error, Result};
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tempfile::TempDir;

/// First code of an interpreter that is started for one process.
const BOOTSTRAP: &str = include_str!("driver/bootstrap.py");

/// The driver of whole programs.
const PROGRAM: Driver = Driver { name: "program", source: include_str!("driver/program.py") };

/// Trusted Python source that runs first in a sandboxed process and may load untrusted code.
///
/// Descriptor 3 brings it frames (u32 length, little-endian, then bytes), descriptor 4 takes them.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    pub name: &'static str,
    pub source: &'static str,
}

/// A place to run untrusted programs. Shared between threads.
pub struct Sandbox {
    settings: Settings,
    interpreter: Interpreter,
    report: Report,
    #[cfg(target_os = "linux")]
    pool: Option<super::own::Pool>,
    scratch: TempDir,
    /// Held as long as the folder is in use.
    _lock: File,
    serial: AtomicU64,
    turns: Turns,
    interrupt: Arc<AtomicBool>,
}

/// Counts the workers that are free.
struct Turns {
    free: Mutex<usize>,
    back: Condvar,
}

/// The right to run one program now; given back when dropped.
pub(super) struct Turn<'a>(&'a Turns);

impl Sandbox {
    /// Looks at the machine, sets up what can be had and tries it out.
    ///
    /// # Errors
    /// When the asked-for runner cannot contain programs here: the reason, and what to do. There is no silent fallback.
    pub fn open(settings: Settings) -> Result<Sandbox> {
        let mut interpreter = Interpreter::find(settings.interpreter.as_deref())?;
        interpreter.reads.extend(settings.reads.iter().filter_map(|path| path.canonicalize().ok()));
        let (scratch, lock) = scratch::make(settings.scratch.clone())?;
        let report = first_report(&settings, &interpreter);
        let turns = Turns { free: Mutex::new(settings.workers.max(1)), back: Condvar::new() };
        let mut sandbox = Sandbox {
            settings,
            interpreter,
            report,
            #[cfg(target_os = "linux")]
            pool: None,
            scratch,
            _lock: lock,
            serial: AtomicU64::new(0),
            turns,
            interrupt: Arc::default(),
        };
        if sandbox.settings.runner == Runner::Own {
            sandbox.open_own()?;
        }
        canary::check(&sandbox)?;
        Ok(sandbox)
    }

    #[cfg(target_os = "linux")]
    fn open_own(&mut self) -> Result<()> {
        let pool = super::own::Pool::open(&self.settings, &self.interpreter, self.scratch.path(), &mut self.report)?;
        self.pool = Some(pool);
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn open_own(&mut self) -> Result<()> {
        Err(Error::input("programs can be sandboxed on Linux only")
            .hint("use an external runner such as docker, or --unsafe-code for code that you trust anyway"))
    }

    /// What is enforced here.
    pub fn report(&self) -> &Report {
        &self.report
    }

    pub(super) fn runner(&self) -> &Runner {
        &self.settings.runner
    }

    /// Programs at once.
    pub fn workers(&self) -> usize {
        self.settings.workers.max(1)
    }

    /// Whether [`Sandbox::interrupt`] was called.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// Ends all programs that run, and all that are started from now on, within a moment: each outcome is a failure of the
    /// sandbox, which says nothing about the program.
    pub fn interrupt(&self) {
        self.interrupt.store(true, Ordering::Relaxed);
    }

    /// Runs one program to its end. Blocks until a worker is free; a failure of the sandbox is an ending, too.
    pub fn run(&self, program: &Program, limits: &Limits) -> ProgramOutcome {
        let _turn = self.turn();
        if let Some((name, _)) = program.files.iter().find(|(name, _)| !is_plain_name(name)) {
            return failed(format!("`{name}` is no plain file name"));
        }
        let mut cell = match self.start(&PROGRAM, limits) {
            Ok(cell) => cell,
            Err(e) => return failed(e.to_string()),
        };
        // A process that is lost while it is fed says why in its outcome.
        match feed(&mut cell, program) {
            Ok(()) => cell.wait(),
            Err(_) => cell.finish(),
        }
    }

    /// Starts a fresh process that runs `driver`; every layer and limit is in force before its first line.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start(&self, driver: &Driver, limits: &Limits) -> Result<Cell> {
        let cell = match &self.settings.runner {
            Runner::Own => self.start_own(driver, limits),
            Runner::Unsafe => {
                let mut command = host::python(&self.interpreter.path);
                command.args(["-c", BOOTSTRAP, "direct"]);
                self.start_child(command, Wiring::Direct, self.new_scratch()?, driver, limits)
            }
            Runner::External(template) => {
                let scratch = self.new_scratch()?;
                let command = self.external(template, &scratch, limits);
                self.start_child(command, Wiring::Mapped, scratch, driver, limits)
            }
        };
        cell.map(|cell| cell.heed(&self.interrupt))
    }

    #[cfg(target_os = "linux")]
    fn start_own(&self, driver: &Driver, limits: &Limits) -> Result<Cell> {
        let pool = self.pool.as_ref().ok_or_else(|| Error::input("the sandbox is not open"))?;
        pool.start(&order(driver, limits), limits)
    }

    #[cfg(not(target_os = "linux"))]
    fn start_own(&self, _driver: &Driver, _limits: &Limits) -> Result<Cell> {
        Err(Error::input("programs can be sandboxed on Linux only"))
    }

    fn external(&self, template: &Template, scratch: &Path, limits: &Limits) -> Command {
        let values = [
            ("python", self.interpreter.path.display().to_string()),
            ("bootstrap", BOOTSTRAP.to_owned()),
            ("scratch", scratch.display().to_string()),
            ("memory", limits.memory.to_string()),
            ("threads", limits.threads.to_string()),
            ("file_size", limits.file_size.to_string()),
            ("open_files", limits.open_files.to_string()),
            ("scratch_size", limits.scratch().to_string()),
            ("cpu", limits.cpu.as_secs().max(1).to_string()),
        ];
        let readonly: Vec<String> = self.interpreter.reads.iter().map(|p| p.display().to_string()).collect();
        let words = template.fill(&values, &readonly);
        let mut command = Command::new(words.first().map_or("", String::as_str));
        command.args(words.iter().skip(1));
        command
    }

    fn start_child(
        &self,
        command: Command,
        wiring: Wiring,
        scratch: PathBuf,
        driver: &Driver,
        limits: &Limits,
    ) -> Result<Cell> {
        let program = PathBuf::from(command.get_program());
        let failed = |e| Error::io("cannot start a process", &program, e);
        let (pipes, ends) = Pipes::new(limits).map_err(failed)?;
        let child = Child::spawn(command, ends, wiring, scratch).map_err(failed)?;
        let mut cell = Cell::new(pipes, Box::new(child), *limits);
        // If it is gone already, the caller's first frame finds out.
        let _ = cell.send(&order(driver, limits));
        Ok(cell)
    }

    /// A new, empty directory for one process.
    fn new_scratch(&self) -> Result<PathBuf> {
        let path = self.scratch.path().join(self.serial.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::create_dir(&path).map_err(|e| Error::io("cannot make a scratch directory", &path, e))?;
        Ok(path)
    }

    /// Waits for a free worker.
    pub(super) fn turn(&self) -> Turn<'_> {
        let mut free = self.turns.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.turns.back.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Turn(&self.turns)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.back.notify_one();
    }
}

/// Sends a program to its driver.
fn feed(cell: &mut Cell, program: &Program) -> std::result::Result<(), Lost> {
    cell.send(program.files.len().to_string().as_bytes())?;
    for (name, content) in &program.files {
        cell.send(name.as_bytes())?;
        cell.send(content)?;
    }
    cell.send(program.code.as_bytes())
}

/// What a new interpreter is told: the driver and the limits.
fn order(driver: &Driver, limits: &Limits) -> Vec<u8> {
    let limits = json!({
        "cpu_ms": limits.cpu.as_millis() as u64,
        "wall_ms": limits.wall.as_millis() as u64,
        "memory": limits.memory,
        "file_size": limits.file_size,
        "open_files": limits.open_files,
        "threads": limits.threads,
        "scratch": limits.scratch(),
    });
    json!({ "name": driver.name, "source": driver.source, "limits": limits }).to_string().into_bytes()
}

/// What is known before anything is set up.
fn first_report(settings: &Settings, interpreter: &Interpreter) -> Report {
    Report {
        runner: settings.runner.name().to_owned(),
        layers: Vec::new(),
        missing: Vec::new(),
        landlock_abi: 0,
        namespaces: Vec::new(),
        scratch: "folder".to_owned(),
        interpreter: interpreter.path.clone(),
        python: interpreter.version.clone(),
        uid: None,
    }
}

fn failed(reason: String) -> ProgramOutcome {
    let ending = Ending::SandboxFailed(reason);
    ProgramOutcome { ending, stdout: String::new(), stderr: String::new(), usage: Usage::default() }
}

/// A name that stays inside the folder it is used in.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}
