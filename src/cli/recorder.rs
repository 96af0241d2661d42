//! `run --distributions`: the first model stays loaded, and every model is held against it.

use crate::engine::local::LocalEngine;
use crate::engine::{Cancel, Engine};
use crate::error::{Error, Result};
use crate::fidelity::Kind;
use crate::runner::{Distributions, Event, Side};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// `--distributions`
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
pub enum KindArg {
    #[value(name = "kl")]
    Full,
    #[value(name = "kl_sampled", alias = "kl-sampled")]
    Sampled,
    #[value(name = "kl_lower", alias = "kl-lower")]
    Lower,
}

impl From<KindArg> for Kind {
    fn from(arg: KindArg) -> Kind {
        match arg {
            KindArg::Full => Kind::Full,
            KindArg::Sampled => Kind::Sampled,
            KindArg::Lower => Kind::Lower,
        }
    }
}

/// What is recorded, and the reference once it is loaded.
pub struct Recorder {
    distributions: Distributions,
    reference: Option<Reference>,
    /// The reference's run did not end well: there is nothing to compare with.
    lost: bool,
}

struct Reference {
    engine: Box<dyn Engine>,
    folder: PathBuf,
    label: String,
}

impl Recorder {
    pub fn new(distributions: Distributions) -> Recorder {
        Recorder { distributions, reference: None, lost: false }
    }

    /// Looks whether a model can be compared, before it is asked anything.
    ///
    /// Errors: it cannot.
    pub fn admit(&self, engine: &dyn Engine, label: &str, cancel: &Cancel) -> Result<()> {
        let candidate = local(engine, label)?;
        let reference = self.reference.as_ref().map(|reference| local(reference.engine.as_ref(), &reference.label));
        self.distributions.admit(reference.transpose()?.unwrap_or(candidate), candidate, label, cancel)
    }

    /// Records a model whose run is in a folder. The first one is the reference, and is held against itself.
    ///
    /// Errors: it cannot be compared; its files cannot be written; cancelled.
    pub fn record(
        &mut self,
        (engine, folder, label): (&dyn Engine, &Path, &str),
        cancel: &Cancel,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<()> {
        if self.lost {
            return Ok(());
        }
        let candidate = Side { engine: local(engine, label)?, folder, label };
        let reference = match &self.reference {
            Some(reference) => Side {
                engine: local(reference.engine.as_ref(), &reference.label)?,
                folder: &reference.folder,
                label: &reference.label,
            },
            None => candidate,
        };
        self.distributions.record(reference, candidate, cancel, on_event)
    }

    /// Keeps the first model.
    pub fn keep(&mut self, engine: Box<dyn Engine>, folder: &Result<PathBuf>, label: String) {
        match folder {
            _ if self.reference.is_some() || self.lost => {}
            Ok(folder) => self.reference = Some(Reference { engine, folder: folder.clone(), label }),
            Err(_) => self.lost = true,
        }
    }
}

fn local<'a>(engine: &'a dyn Engine, label: &str) -> Result<&'a LocalEngine> {
    engine
        .local()
        .ok_or_else(|| Error::input(format!("whole distributions cannot be had of {label}")).key("--distributions"))
}
