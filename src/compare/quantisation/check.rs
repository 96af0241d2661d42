//! What positions must have in common before their figures may stand side by side.

use crate::error::{Error, Result};
use crate::fidelity::{Header, Kind, Position};
use crate::record::Run;

const AGAIN: &str = "record all formats with one command: `fairmark run --precision f32,bf16,... --distributions`";

/// The first run of each source that was seen, and what was noticed.
pub(super) struct Check<'a> {
    reference: (&'a str, &'a Run),
    seen: Vec<(String, Header)>,
    pub notes: Vec<String>,
}

impl<'a> Check<'a> {
    pub(super) fn new(reference: (&'a str, &'a Run)) -> Check<'a> {
        Check { reference, seen: Vec::new(), notes: Vec::new() }
    }

    /// The positions of a run, where they fit to those of the runs before.
    ///
    /// # Errors
    /// Names what differs.
    pub(super) fn of(
        &mut self,
        (label, run): (&str, &Run),
        measured: Vec<(Header, Vec<Position>)>,
    ) -> Result<Vec<(Header, Vec<Position>)>> {
        let is_reference = std::ptr::eq(run, self.reference.1);
        let mut kept = Vec::new();
        for (header, positions) in measured {
            // An earlier command may have held the reference against another one: that is not asked here.
            let is_other = self.reference.1.spec_sha256.as_ref().is_some_and(|spec| *spec != header.reference_spec);
            if is_reference && is_other {
                self.notes.push(format!(
                    "{label}: its own positions of {} are against {}, and are left out",
                    header.source, header.reference
                ));
                continue;
            }
            self.one((label, run), &header, &positions).map_err(|err| err.file(&run.path))?;
            if is_reference && header.kind != Kind::Sampled && positions.iter().any(|p| p.kl != 0.0 && !p.kl.is_nan()) {
                let message = format!("{label} differs from itself at positions of {}", header.source);
                return Err(Error::input(message)
                    .file(&run.path)
                    .hint("the engine or the memory is not to be trusted: no divergence here means anything"));
            }
            kept.push((header, positions));
        }
        Ok(kept)
    }

    fn one(&mut self, (label, run): (&str, &Run), header: &Header, positions: &[Position]) -> Result<()> {
        let source = &header.source;
        if header.positions != positions.len() as u64 {
            let (said, has) = (header.positions, positions.len());
            return Err(Error::input(format!("{label} has {has} positions of {source}, and its header says {said}")));
        }
        let spec = self.reference.1.spec_sha256.as_ref();
        if spec.is_some_and(|spec| *spec != header.reference_spec) {
            let (against, base) = (&header.reference, self.reference.0);
            let message = format!("{label} was held against {against} on {source}, which is not the run {base}");
            return Err(Error::input(message).hint("name the reference first, or record again"));
        }
        self.replaced((label, run), header)?;
        if positions.iter().all(|p| p.kl.is_nan()) {
            let message = format!("{label} has no position of {source} with finite logits");
            return Err(Error::input(message).hint("the format breaks this model, or it was already broken"));
        }
        if let Some((other, first)) = self.seen.first() {
            same(header.vocabulary == first.vocabulary, || {
                let (ours, theirs) = (header.vocabulary, first.vocabulary);
                format!("{label} has a vocabulary of {ours} tokens and {other} one of {theirs}")
            })?;
            same(header.reference_spec == first.reference_spec, || {
                let (ours, theirs) = (&header.reference, &first.reference);
                format!("{label} was held against {ours} and {other} against {theirs}, which are not the same run")
            })?;
        }
        match self.seen.iter().find(|(_, first)| first.source == *source) {
            Some((other, first)) => same_positions((label, header), (other, first)),
            None => {
                self.seen.push((label.to_owned(), header.clone()));
                Ok(())
            }
        }
    }

    /// A format that was asked for and changed nothing compares a model with itself.
    fn replaced(&mut self, (label, run): (&str, &Run), header: &Header) -> Result<()> {
        let Some((replaced, of)) = header.replaced else { return Ok(()) };
        match (replaced, &run.model.precision) {
            (0, Some(asked)) => Err(Error::input(format!("{label}: {asked} replaced none of {of} matrices"))
                .hint("this is the reference again: its weights have no shape that the format takes")),
            (some, Some(_)) if some < of => {
                let note = format!("{label}: {some} of {of} matrices were quantised");
                if !self.notes.contains(&note) {
                    self.notes.push(note);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Of one source: of one kind and of the same tokens.
fn same_positions((label, header): (&str, &Header), (other, first): (&str, &Header)) -> Result<()> {
    let source = &header.source;
    same(header.kind == first.kind, || {
        let (ours, theirs) = (kind(header.kind), kind(first.kind));
        format!("{label} has {ours} of {source} and {other} has {theirs}, which are never mixed")
    })?;
    same(header.tokens_sha256 == first.tokens_sha256 && header.window == first.window, || {
        format!("{label} and {other} have positions of other tokens under the name {source}")
    })?;
    same(header.positions == first.positions, || {
        let (ours, theirs) = (header.positions, first.positions);
        format!("{label} has {ours} positions of {source} and {other} has {theirs}")
    })
}

fn same(are: bool, said: impl FnOnce() -> String) -> Result<()> {
    if are { Ok(()) } else { Err(Error::input(said()).hint(AGAIN)) }
}

/// The name in files and tables.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Full => "kl",
        Kind::Sampled => "kl_sampled",
        Kind::Lower => "kl_lower",
    }
}
