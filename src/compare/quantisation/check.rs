//! What positions must have in common before their figures may stand side by side.

use crate::error::{Error, Result};
use crate::fidelity::{Header, Kind, Position};
use crate::record::Run;
use crate::visible;

const AGAIN: &str = "record all formats with one command: `fairmark run --precision f32,bf16,... --distributions`";

/// A run with its label and what it has positions of.
pub(super) type Recorded<'a> = (&'a str, &'a Run, Vec<Header>);

/// The reference that all were held against, by spec and label; what is left out; what to know.
pub(super) struct Checked {
    pub spec: String,
    pub reference: String,
    pub notes: Vec<String>,
}

/// Looks whether all positions are of the same kinds, tokens and vocabulary and against one reference, and whether every format changed
/// weights. `None` where there are no positions.
///
/// # Errors
/// Names what differs.
pub(super) fn check(recorded: &mut [Recorded<'_>]) -> Result<Option<Checked>> {
    let mut notes = Vec::new();
    drop_stale(recorded, &mut notes);
    let Some(first) = recorded.iter().find_map(|(_, _, headers)| headers.first()).cloned() else { return Ok(None) };
    let mut seen: Vec<(String, Header)> = Vec::new();
    for (label, run, headers) in recorded.iter() {
        for header in headers {
            of_one(&seen, (label, header)).map_err(|err| err.file(&run.path))?;
            replaced((label, run), header, &mut notes).map_err(|err| err.file(&run.path))?;
            seen.push(((*label).to_owned(), header.clone()));
        }
    }
    let is = |run: &Run| run.spec_sha256.as_ref() == Some(&first.reference_spec);
    let reference = match recorded.iter().find(|(_, run, _)| is(run)) {
        Some((label, ..)) => (*label).to_owned(),
        None => {
            notes.push(format!("all divergences are against {}, whose run is not here", first.reference));
            // One of these runs may have the same label, and is not it.
            format!("{} (another run)", first.reference)
        }
    };
    Ok(Some(Checked { reference, spec: first.reference_spec, notes }))
}

/// A run that others were held against may have been held against another one by a later command: that is not asked here.
fn drop_stale(recorded: &mut [Recorded<'_>], notes: &mut Vec<String>) {
    let spec_of_base = recorded.first().and_then(|(_, run, _)| run.spec_sha256.clone());
    let mut others = recorded.iter().skip(1).flat_map(|(.., headers)| headers);
    let is_reference = others.any(|header| Some(&header.reference_spec) == spec_of_base.as_ref());
    let Some((label, _, headers)) = recorded.first_mut().filter(|_| is_reference) else { return };
    let of: Vec<String> = headers.iter().map(|header| header.source.clone()).collect();
    headers.retain(|header| Some(&header.reference_spec) == spec_of_base.as_ref());
    if headers.len() < of.len() {
        notes.push(format!(
            "{label}: its own positions ({}) are against another model, and left out",
            visible::list(&of)
        ));
    }
}

fn of_one(seen: &[(String, Header)], (label, header): (&str, &Header)) -> Result<()> {
    if let Some((other, first)) = seen.first() {
        same(header.vocabulary == first.vocabulary, || {
            let (ours, theirs) = (header.vocabulary, first.vocabulary);
            format!("{label} has a vocabulary of {ours} tokens and {other} one of {theirs}")
        })?;
        same(header.reference_spec == first.reference_spec, || {
            let (ours, theirs) = (&header.reference, &first.reference);
            format!("{label} was held against {ours} and {other} against {theirs}, which are not the same run")
        })?;
    }
    match seen.iter().find(|(_, first)| first.source == header.source) {
        Some((other, first)) => same_positions((label, header), (other, first)),
        None => Ok(()),
    }
}

/// Of one source: of one kind and of the same tokens.
fn same_positions((label, header): (&str, &Header), (other, first): (&str, &Header)) -> Result<()> {
    let source = &header.source;
    same(header.kind == first.kind, || {
        let (ours, theirs) = (header.kind.name(), first.kind.name());
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

/// A format that was asked for and changed nothing compares a model with itself.
fn replaced((label, run): (&str, &Run), header: &Header, notes: &mut Vec<String>) -> Result<()> {
    let Some((replaced, of)) = header.replaced else { return Ok(()) };
    match (replaced, &run.model.precision) {
        (0, Some(asked)) => Err(Error::input(format!("{label}: {asked} replaced none of {of} matrices"))
            .hint("this is the reference again: its weights have no shape that the format takes")),
        (some, Some(_)) if some < of => {
            let note = format!("{label}: {some} of {of} matrices were quantised");
            if !notes.contains(&note) {
                notes.push(note);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Looks whether positions are what their header says, and whether there is anything to sum up.
///
/// # Errors
/// Another number of them; none with finite logits; `is_reference`, and it differs from itself.
pub(super) fn positions(
    (label, run): (&str, &Run),
    header: &Header,
    positions: &[Position],
    is_reference: bool,
) -> Result<()> {
    let source = &header.source;
    let fail = |message: String, hint: &str| Err(Error::input(message).file(&run.path).hint(hint));
    if header.positions != positions.len() as u64 {
        let (said, has) = (header.positions, positions.len());
        return fail(format!("{label} has {has} positions of {source}, and its header says {said}"), AGAIN);
    }
    if positions.iter().all(|p| p.kl.is_nan()) {
        let hint = "the format breaks this model, or it was already broken";
        return fail(format!("{label} has no position of {source} with finite logits"), hint);
    }
    let differs = |p: &Position| p.kl != 0.0 && !p.kl.is_nan();
    if is_reference && header.kind != Kind::Sampled && positions.iter().any(differs) {
        let hint = "the engine or the memory is not to be trusted: no divergence here means anything";
        return fail(format!("{label} differs from itself at positions of {source}"), hint);
    }
    Ok(())
}
