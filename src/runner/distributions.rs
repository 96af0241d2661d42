//! What a change of a model did to its next-token distributions: recorded beside the runs of a command, each model against the first.

use super::{Event, Prepared};
use crate::engine::local::{LocalEngine, Spot, Text, witness};
use crate::engine::{Cancel, Engine};
use crate::error::{Error, Result};
use crate::fidelity::{self, CodedReader, CodedWriter, FORMAT_VERSION, Header, Kind, Measured, Position};
use crate::file;
use crate::remark::Remark;
use crate::request::{Request, RequestKind};
use crate::run;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Positions of a source whose rows are stored whole.
const SAMPLED: usize = 4096;

/// Tokens of a window of a corpus, where the model can see so many.
const WINDOW: usize = 512;

/// Bytes of a corpus at most.
const LARGEST_CORPUS: u64 = 64 << 20;

/// Distributions that a command records.
pub struct Distributions {
    kind: Kind,
    seed: u64,
    window: Option<usize>,
    sources: Vec<Source>,
    /// Of the reference, by source.
    known: HashMap<String, Known>,
}

/// What is known of the reference at a source's positions.
#[derive(Default)]
struct Known {
    witness: String,
    /// `kl_sampled`: its stored rows, and what storing them cost.
    rows: PathBuf,
    floor: Option<f64>,
}

/// Where positions come from.
struct Source {
    name: String,
    content: Content,
}

enum Content {
    /// Scored requests, each with its document's number.
    Requests(Vec<Request>, Vec<u32>),
    Corpus(String),
}

/// A model and the folder of its run.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub engine: &'a LocalEngine,
    pub folder: &'a Path,
    /// As the table's heading has it.
    pub label: &'a str,
}

impl Distributions {
    /// Takes the scored requests of all tasks, and texts from files. `window`: tokens of a window of a text; `seed`: of the sample.
    ///
    /// # Errors
    /// A corpus cannot be read, is no text, too large or empty, or two have one name; there is no position to compare at.
    pub fn new(
        kind: Kind,
        seed: u64,
        prepared: &Prepared,
        corpora: &[PathBuf],
        window: Option<usize>,
    ) -> Result<Distributions> {
        let mut sources: Vec<Source> = prepared.tasks.iter().filter_map(scored).collect();
        for path in corpora {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let name = format!("corpus:{name}");
            if sources.iter().any(|source| source.name == name) {
                let message = "another corpus has the same name, by which its positions are recorded";
                return Err(Error::input(message).file(path).hint("give one of the files another name"));
            }
            sources.push(Source { name, content: Content::Corpus(read_corpus(path)?) });
        }
        if sources.is_empty() {
            return Err(Error::input(
                "there is no position at which distributions could be compared: no task scores given answers",
            )
            .key("--distributions")
            .hint("name a task that does (multiple choice, perplexity), or a text with --corpus FILE"));
        }
        if window.is_some_and(|window| window < 2) {
            return Err(Error::input("a window of less than 2 tokens predicts nothing").key("--window"));
        }
        Ok(Distributions { kind, seed, window, sources, known: HashMap::new() })
    }

    /// Looks whether a model can be compared with the reference, before it is asked anything.
    ///
    /// # Errors
    /// Another vocabulary or tokenizer than the reference's; a precision that changed no weight. Cancelled.
    pub fn admit(&self, reference: &LocalEngine, candidate: &LocalEngine, label: &str, cancel: &Cancel) -> Result<()> {
        let fail = |message: String| Error::input(message).context(label).key("--distributions");
        if let Some((0, of)) = candidate.replaced() {
            return Err(fail(format!("the precision changed none of {of} matrices: there is nothing to compare")));
        }
        let (ours, theirs) = (candidate.vocabulary(), reference.vocabulary());
        if ours != theirs {
            return Err(fail(format!("a vocabulary of {ours} tokens, and the reference has {theirs}"))
                .hint("distributions over two vocabularies have no divergence: compare models of one family"));
        }
        if self.kind == Kind::Sampled && candidate.depends_on_length() != reference.depends_on_length() {
            return Err(fail("its positions depend on the length of a text otherwise than the reference's".into())
                .hint("`--distributions kl` has both models at hand"));
        }
        let (window, most) = (self.window_of(reference), candidate.max_length());
        if window > most && self.sources.iter().any(|source| matches!(source.content, Content::Corpus(_))) {
            return Err(fail(format!("windows of {window} tokens, and the model sees {most}"))
                .hint("choose a smaller one with --window, or say with --max-length that it sees more"));
        }
        // One checkpoint has one tokenizer; what it makes of the texts is compared once more when positions are recorded.
        if candidate.identity().sha.is_some() && candidate.identity().sha == reference.identity().sha {
            return Ok(());
        }
        for source in &self.sources {
            let of = |engine| texts(source, engine, window, cancel).map(|texts| witness(&texts));
            if of(reference)? != of(candidate)? {
                return Err(fail(format!("its tokenizer makes other tokens of {} than the reference's", source.name))
                    .hint("compare models with one tokenizer, one --max-length and one chat template"));
            }
        }
        Ok(())
    }

    fn window_of(&self, reference: &LocalEngine) -> usize {
        self.window.unwrap_or(WINDOW.min(reference.max_length()))
    }

    /// Compares a model with the reference at all positions and writes them into its run's folder. The reference comes first, against itself.
    ///
    /// # Errors
    /// Those of [`Distributions::admit`]; a file cannot be written; cancelled (exit code 3).
    pub fn record(
        &mut self,
        reference: Side<'_>,
        candidate: Side<'_>,
        cancel: &Cancel,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let (theirs, ours) = (run_of(reference.folder)?, run_of(candidate.folder)?);
        let is_reference = std::ptr::eq(reference.engine, candidate.engine);
        let window = self.window_of(reference.engine);
        for source in &self.sources {
            let all = texts(source, candidate.engine, window, cancel)?;
            let texts = match self.kind {
                Kind::Sampled => sample(all, self.seed),
                Kind::Full | Kind::Lower => all,
            };
            if texts.is_empty() {
                continue;
            }
            let found = witness(&texts);
            let known = self.known.entry(source.name.clone()).or_default();
            if is_reference {
                let [name, _] = fidelity::names(&source.name, &theirs.environment.started);
                let rows = reference.folder.join(name).with_extension("rows");
                *known = Known { witness: found.clone(), rows, floor: None };
            } else if known.witness != found {
                let message = format!("other tokens of {} than the reference was asked about", source.name);
                return Err(Error::input(message).context(candidate.label).key("--distributions"));
            }
            let pair = Pair { reference: reference.engine, candidate: candidate.engine, texts: &texts, cancel };
            let mut positions = match self.kind {
                Kind::Full => pair.compared(fidelity::full)?,
                Kind::Lower => pair.compared(fidelity::lower)?,
                Kind::Sampled => {
                    if is_reference {
                        pair.store(&known.rows)?;
                    }
                    pair.against_stored(&known.rows)?
                }
            };
            if self.kind == Kind::Sampled && is_reference {
                known.floor = mean(&positions);
            }
            let sequences = numbered(&mut positions);
            let header = Header {
                format_version: FORMAT_VERSION,
                kind: self.kind,
                reference: reference.label.to_string(),
                reference_spec: theirs.spec_sha256.clone(),
                source: source.name.clone(),
                vocabulary: reference.engine.vocabulary(),
                tokens_sha256: found,
                positions: positions.len() as u64,
                sequences,
                window: matches!(source.content, Content::Corpus(_)).then_some(window),
                floor: known.floor,
                replaced: candidate.engine.replaced(),
            };
            fidelity::write(candidate.folder, &ours.environment.started, &header, &positions)?;
            let odd = positions.iter().filter(|position| !position.kl.is_finite()).count();
            if odd > 0 {
                let text = format!(
                    "distributions of {} that are not finite: these positions are counted and left out of every figure",
                    source.name
                );
                let remark = Remark::warning(candidate.label, text).count(odd, positions.len(), "positions");
                on_event(Event::Remarks(vec![remark]));
            }
            on_event(Event::Compared { source: source.name.clone(), positions: positions.len() });
        }
        Ok(())
    }
}

/// The scored requests of a task, if it has any.
fn scored(task: &super::PreparedTask) -> Option<Source> {
    let (mut requests, mut documents) = (Vec::new(), Vec::new());
    for (document, item) in task.asked().iter().enumerate() {
        for request in item.requests.iter().filter(|r| !matches!(r.kind, RequestKind::Generate { .. })) {
            requests.push(request.clone());
            documents.push(document as u32);
        }
    }
    let content = Content::Requests(requests, documents);
    let is_empty = matches!(&content, Content::Requests(requests, _) if requests.is_empty());
    (!is_empty).then(|| Source { name: task.task.name.clone(), content })
}

/// A text from a file.
///
/// # Errors
/// It cannot be read, is no UTF-8, larger than 64 MiB, or empty.
pub fn read_corpus(path: &Path) -> Result<String> {
    let text = file::read_to_string(path, LARGEST_CORPUS).map_err(|err| {
        Error::io("cannot read this corpus", path, err)
            .key("--corpus")
            .hint("a corpus is plain text in UTF-8, 64 MiB at most")
    })?;
    match text.trim().is_empty() {
        true => Err(Error::input("this corpus has no text").file(path).key("--corpus")),
        false => Ok(text),
    }
}

fn texts(source: &Source, engine: &LocalEngine, window: usize, cancel: &Cancel) -> Result<Vec<Text>> {
    match &source.content {
        Content::Requests(requests, documents) => engine.scored_texts(requests, documents, cancel),
        Content::Corpus(text) => engine.windows_of(text, window).map_err(|err| err.context(&source.name)),
    }
}

/// Whole texts with [`SAMPLED`] positions, or all where there are no more: in an order that seed and tokens decide, until there are enough.
fn sample(texts: Vec<Text>, seed: u64) -> Vec<Text> {
    let mut order: Vec<(Vec<u8>, usize)> = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(witness(std::slice::from_ref(text)));
        order.push((hash.finalize().to_vec(), at));
    }
    order.sort_unstable();
    let mut chosen = vec![false; texts.len()];
    let mut positions = 0;
    for (_, at) in order {
        if positions >= SAMPLED {
            break;
        }
        chosen[at] = true;
        positions += texts[at].tokens.len() - texts[at].first;
    }
    texts.into_iter().zip(chosen).filter_map(|(text, chosen)| chosen.then_some(text)).collect()
}

/// Two models (or one twice) and where they are compared.
struct Pair<'a> {
    reference: &'a LocalEngine,
    candidate: &'a LocalEngine,
    texts: &'a [Text],
    cancel: &'a Cancel,
}

/// How two rows are compared.
type Measure = fn(&[f32], &[f32], u32) -> Measured;

impl Pair<'_> {
    /// With both rows at hand.
    fn compared(&self, measure: Measure) -> Result<Vec<Position>> {
        let mut positions = Placed::new();
        self.reference.walk(Some(self.candidate), self.texts, self.cancel, &mut |spots, rows| {
            let [reference, candidate] = rows else { return Err(Error::input("rows of two models were wanted")) };
            positions.par_extend(self.measured(measure, spots, reference, candidate));
            Ok(())
        })?;
        Ok(in_order(positions))
    }

    /// Keeps the reference's rows.
    fn store(&self, path: &Path) -> Result<()> {
        let vocabulary = self.reference.vocabulary();
        let mut writer = CodedWriter::new(path, vocabulary)?;
        self.reference.walk(None, self.texts, self.cancel, &mut |_, rows| {
            rows.iter().flat_map(|rows| rows.chunks(vocabulary.max(1))).try_for_each(|row| writer.row(row))
        })?;
        writer.finish()
    }

    /// With the reference's rows as they were kept.
    fn against_stored(&self, path: &Path) -> Result<Vec<Position>> {
        let mut reader = CodedReader::open(path, self.candidate.vocabulary())?;
        let mut positions = Placed::new();
        self.candidate.walk(None, self.texts, self.cancel, &mut |spots, rows| {
            let [candidate] = rows else { return Err(Error::input("rows of one model were wanted")) };
            let mut reference = Vec::with_capacity(candidate.len());
            for _ in spots {
                reference.extend(reader.row()?);
            }
            positions.par_extend(self.measured(fidelity::full, spots, &reference, candidate));
            Ok(())
        })?;
        match reader.to_come() {
            0 => Ok(in_order(positions)),
            more => Err(Error::input(format!("{more} more rows are stored than there are positions")).file(path)),
        }
    }

    /// The positions of some rows, `[spots, vocabulary]` each.
    fn measured<'b>(
        &'b self,
        measure: Measure,
        spots: &'b [Spot],
        reference: &'b [f32],
        candidate: &'b [f32],
    ) -> impl IndexedParallelIterator<Item = (Spot, Position)> + 'b {
        let width = |rows: &[f32]| (rows.len() / spots.len().max(1)).max(1);
        let rows = reference.par_chunks(width(reference)).zip(candidate.par_chunks(width(candidate)));
        rows.zip(spots).map(move |((reference, candidate), spot)| {
            let cluster = self.texts.get(spot.text as usize).map_or(0, |text| text.cluster);
            (*spot, measure(reference, candidate, spot.next).at(cluster))
        })
    }
}

/// Positions with their places, as they come.
type Placed = Vec<(Spot, Position)>;

/// Positions in the order of the texts.
fn in_order(mut placed: Placed) -> Vec<Position> {
    placed.par_sort_unstable_by_key(|(spot, _)| (spot.text, spot.position));
    placed.into_iter().map(|(_, position)| position).collect()
}

/// The mean of what is a number.
fn mean(positions: &[Position]) -> Option<f64> {
    let found: Vec<f64> = positions.iter().map(|position| position.kl).filter(|kl| kl.is_finite()).collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

/// Numbers the clusters from 0 in the order of the positions; how many there are.
fn numbered(positions: &mut [Position]) -> u64 {
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    for position in positions {
        let next = numbers.len() as u32;
        position.sequence = *numbers.entry(position.sequence).or_insert(next);
    }
    numbers.len() as u64
}

/// The header of the run in a folder.
fn run_of(folder: &Path) -> Result<run::Header> {
    let path = folder.join("run.json");
    let bytes =
        file::read_own(&path, file::SMALL).map_err(|err| Error::io("cannot read the run's header", &path, err))?;
    serde_json::from_slice(&bytes).map_err(|err| Error::input("this run's header is damaged").file(&path).cause(err))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(n: u32) -> Vec<Text> {
        (0..n).map(|i| Text { tokens: vec![i; 100], first: 90, last: 1, cluster: i }).collect()
    }

    #[test]
    fn a_sample_is_whole_texts_in_their_order() {
        let some = sample(texts(2000), 0);
        // Ten positions each: the first number of texts that is enough.
        assert_eq!(some.len(), 410);
        assert!(some.windows(2).all(|pair| pair[0].cluster < pair[1].cluster));
        assert_eq!(some, sample(texts(2000), 0));
        assert_ne!(some, sample(texts(2000), 1));
        // Which texts are taken does not depend on where they stand.
        let mut turned = texts(2000);
        turned.reverse();
        let mut again = sample(turned, 0);
        again.reverse();
        assert_eq!(some, again);
        assert_eq!(sample(texts(7), 3), texts(7));
        assert_eq!(sample(Vec::new(), 0), []);
    }

    #[test]
    fn clusters_are_numbered_as_they_come() {
        let at = |cluster| fidelity::full(&[0.0, 1.0], &[0.0, 1.0], 0).at(cluster);
        let mut positions: Vec<Position> = [7, 7, 3, 9, 3].map(at).to_vec();
        assert_eq!(numbered(&mut positions), 3);
        assert_eq!(positions.iter().map(|p| p.sequence).collect::<Vec<_>>(), [0, 0, 1, 2, 1]);
        positions[1].kl = f64::NAN;
        positions[2].kl = 1.0;
        assert_eq!(mean(&positions), Some(0.25));
        assert_eq!(mean(&positions[1..2]), None);
    }
}
