//! Whole distributions: every position of some texts once, with the logits of one model, or of two at the same place.
//!
//! Comes in: texts with the positions that are asked about. Goes out: rows of logits, a few at a time: memory does not grow with positions
//! times vocabulary. The texts make one tree, as requests do, so that a prefix that they share is computed once and its positions count once.

use super::lm::LanguageModel;
use super::prepare::Prepared;
use super::tree::{Tree, TreeBuilder};
use super::{LocalEngine, PASS_TOKENS};
use crate::engine::Cancel;
use crate::engine::tokens::{fit_pair, rolling_windows};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Branch, Hidden, Kv, Model};
use crate::request::{Request, RequestKind};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ops::Range;

/// Logits at a time, of one model.
const LOGITS: usize = 1 << 23;

/// Tokens that are fed to a model, and which of the tokens that follow are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub tokens: Vec<u32>,
    /// The first position whose next token is asked about; all after it are.
    pub first: usize,
    /// The token after the last one.
    pub last: u32,
    /// What its positions are counted under, in the caller's numbering.
    pub cluster: u32,
}

impl Text {
    fn new(tokens: Vec<u32>, targets: &[u32], cluster: u32) -> Option<Text> {
        let (last, first) = (*targets.last()?, tokens.len().checked_sub(targets.len())?);
        Some(Text { tokens, first, last, cluster })
    }

    /// The token after the one at a position.
    pub fn next(&self, position: usize) -> u32 {
        self.tokens.get(position + 1).copied().unwrap_or(self.last)
    }
}

/// SHA-256 (hex) of texts, with what is asked of them: equal only where all tokens and positions are.
pub fn witness(texts: &[Text]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        for number in [text.tokens.len() as u64, text.first as u64, u64::from(text.cluster)] {
            hash.update(number.to_le_bytes());
        }
        text.tokens.iter().chain([&text.last]).for_each(|token| hash.update(token.to_le_bytes()));
    }
    hash.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// A position that is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// The first of the texts that ask about it.
    pub text: u32,
    /// Tokens before the one that it is after.
    pub position: u32,
    /// The token that follows in that text.
    pub next: u32,
}

/// Takes some positions and, of each model, their rows one after the other: `[spots, vocabulary]`.
pub type Visit<'a> = dyn FnMut(&[Spot], &[Vec<f32>]) -> Result<()> + Send + 'a;

impl LocalEngine {
    /// Tokens of a distribution.
    pub fn vocabulary(&self) -> usize {
        self.model.config.vocab_size
    }

    /// Tokens that the model can see at once.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Of the matrices that a precision was to change how many it did; `None` where none was asked for.
    pub fn replaced(&self) -> Option<(usize, usize)> {
        self.identity.options.iter().any(|option| option.starts_with("precision=")).then(|| {
            let count = |kept: bool| {
                let counted = self.model.storage.iter().filter(|(name, _)| kept || *name != self.model.dtype);
                counted.map(|(_, matrices)| matrices).sum()
            };
            (count(false), count(true))
        })
    }

    /// The sequence length from which on keys depend on it.
    pub fn depends_on_length(&self) -> Option<usize> {
        self.model.depends_on_length()
    }

    /// What scored requests (log-likelihood, rolling, choices) feed to the model, each under a cluster; those that cannot be scored are left
    /// out.
    ///
    /// # Errors
    /// Cancelled (exit code 3).
    pub fn scored_texts(&self, requests: &[Request], clusters: &[u32], cancel: &Cancel) -> Result<Vec<Text>> {
        let is_scored = |request: &Request| !matches!(request.kind, RequestKind::Generate { .. });
        let (requests, clusters): (Vec<Request>, Vec<u32>) =
            requests.iter().cloned().zip(clusters).filter(|(request, _)| is_scored(request)).unzip();
        let prepared = self.prepare_all(&requests, cancel)?;
        stopped(cancel)?;
        let mut texts = Vec::new();
        for (prepared, cluster) in prepared.into_iter().zip(clusters) {
            match prepared {
                Ok(Prepared::Pair(pair)) => {
                    let fitted = fit_pair(&pair, self.max_length).ok();
                    texts.extend(fitted.and_then(|(input, _)| Text::new(input, &pair.continuation, cluster)));
                }
                Ok(Prepared::Choice(labels)) => texts.extend(labels.iter().flatten().filter_map(|pair| {
                    let (input, _) = fit_pair(pair, self.max_length).ok()?;
                    Text::new(input, &pair.continuation, cluster)
                })),
                Ok(Prepared::Rolling { tokens, prefix }) => {
                    let windows = rolling_windows(&tokens, prefix, self.max_length).into_iter();
                    texts.extend(windows.filter_map(|(input, targets)| Text::new(input, &targets, cluster)));
                }
                Ok(Prepared::Prompt { .. }) | Err(_) => {}
            }
        }
        Ok(texts)
    }

    /// A text's tokens, without the token that every text begins with, and that token, where the tokenizer puts one.
    ///
    /// # Errors
    /// The tokenizer gives up, or a token has no row in the model's embedding.
    pub fn tokens_of(&self, text: &str) -> Result<(Vec<u32>, Option<u32>)> {
        let mut tokens = self.encoder()?.text(text)?;
        if let Some(reason) = self.tokenizer.without_row(&tokens) {
            return Err(Error::input(reason));
        }
        let bos = self.tokenizer.bos.as_ref().map(|bos| bos.id).filter(|bos| tokens.first() == Some(bos));
        if bos.is_some() {
            tokens.remove(0);
        }
        Ok((tokens, bos))
    }

    /// A text cut in windows of so many tokens, each a cluster of its own; every token after the first of a window is asked about. Where
    /// the tokenizer begins texts with a token of its own, every window begins with it.
    ///
    /// # Errors
    /// Those of [`LocalEngine::tokens_of`]; a window of less than two tokens.
    pub fn windows_of(&self, text: &str, window: usize) -> Result<Vec<Text>> {
        if window < 2 {
            return Err(Error::input(format!("a window of {window} tokens predicts nothing")));
        }
        let (tokens, bos) = self.tokens_of(text)?;
        let own = window - usize::from(bos.is_some());
        let windows = tokens.chunks(own).map(|own| bos.iter().chain(own).copied().collect::<Vec<u32>>());
        let text = |(cluster, mut tokens): (usize, Vec<u32>)| {
            let last = tokens.pop().filter(|_| !tokens.is_empty())?;
            Some(Text { tokens, first: 0, last, cluster: cluster as u32 })
        };
        Ok(windows.enumerate().filter_map(text).collect())
    }

    /// Visits every position that the texts ask about, once, in an order that depends on the texts alone: the logits of this model, or
    /// of this one and another one.
    ///
    /// # Errors
    /// Cancelled (exit code 3); a model cannot take the tokens; those of `visit`.
    pub fn walk(
        &self,
        other: Option<&LocalEngine>,
        texts: &[Text],
        cancel: &Cancel,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        self.walk_by(Sizes { pass: PASS_TOKENS, logits: LOGITS }, (other, texts), cancel, visit)
    }

    /// The same, so much at a time.
    pub(super) fn walk_by(
        &self,
        sizes: Sizes,
        (other, texts): (Option<&LocalEngine>, &[Text]),
        cancel: &Cancel,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        let models: Vec<&Model> = std::iter::once(self).chain(other).map(|engine| &engine.model).collect();
        // What no model may share is not shared.
        let class = |len: usize| models.iter().map(|m| m.length_class(len)).max().unwrap_or(0);
        let mut builder = TreeBuilder::default();
        for (ask, text) in texts.iter().enumerate() {
            let targets = text.tokens.len() - text.first.min(text.tokens.len());
            let tokens = text.tokens.iter().copied();
            builder.add_scored(ask as u32, class(text.tokens.len()) as u32, tokens, targets, text.last);
        }
        self.pool.install(|| {
            let tree = builder.build();
            Walk { models, asked: asked(&tree), tree: &tree, texts, sizes, cancel }.run(visit)
        })
    }
}

fn stopped(cancel: &Cancel) -> Result<()> {
    match cancel.is_cancelled() {
        true => Err(Error::new(ErrorKind::Incomplete, "stopped while distributions were compared")
            .hint("run the same command again: the answers are kept")),
        false => Ok(()),
    }
}

/// For each node: first positions and numbers of the texts through it that may be the first to ask about one of its positions, by position.
/// A text is left out where another one asks no later and stands before it.
fn asked(tree: &Tree) -> Vec<Vec<(u32, u32)>> {
    let mut asked: Vec<Vec<(u32, u32)>> = vec![Vec::new(); tree.nodes().len()];
    for node in (0..tree.nodes().len()).rev() {
        let mut own = std::mem::take(&mut asked[node]);
        own.extend(tree.ending(node as u32).iter().map(|sequence| (sequence.first, sequence.ask)));
        own.sort_unstable();
        let mut least = u32::MAX;
        own.retain(|(_, ask)| {
            let leads = *ask < least;
            least = least.min(*ask);
            leads
        });
        if let Some(parent) = tree.node(node as u32).parent() {
            let end = tree.node(parent).depth_end();
            asked[parent as usize].extend(own.iter().filter(|(first, _)| *first < end));
        }
        asked[node] = own;
    }
    asked
}

struct Walk<'a> {
    models: Vec<&'a Model>,
    tree: &'a Tree,
    asked: Vec<Vec<(u32, u32)>>,
    texts: &'a [Text],
    sizes: Sizes,
    cancel: &'a Cancel,
}

/// How much at a time. Decides only the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Tokens of a pass.
    pub(super) pass: usize,
    /// Logits of one model.
    pub(super) logits: usize,
}

/// Nodes at one depth of the tree, in passes.
struct Level {
    /// The next one last.
    passes: Vec<Vec<u32>>,
    /// Nodes of the pass before whose children are visited now.
    open: Vec<u32>,
}

/// Keys and values of the nodes that are open, of one model.
type Open = HashMap<u32, Kv>;

impl Walk<'_> {
    /// Depth first by passes: the children of all nodes of a pass go together.
    fn run(&self, visit: &mut Visit<'_>) -> Result<()> {
        let mut kvs: Vec<Open> = self.models.iter().map(|_| Open::new()).collect();
        let mut levels = vec![self.level(self.tree.roots().collect())];
        while let Some(level) = levels.last_mut() {
            for node in level.open.drain(..) {
                kvs.iter_mut().for_each(|open| drop(open.remove(&node)));
            }
            let Some(pass) = level.passes.pop() else {
                levels.pop();
                continue;
            };
            stopped(self.cancel)?;
            self.pass(&pass, &mut kvs, visit)?;
            let inner: Vec<u32> = pass.into_iter().filter(|node| !self.tree.is_leaf(*node)).collect();
            let below = inner.iter().flat_map(|node| self.tree.children(*node)).collect();
            level.open = inner;
            levels.push(self.level(below));
        }
        Ok(())
    }

    /// Nodes in passes of at most so many tokens, or of one node.
    fn level(&self, nodes: Vec<u32>) -> Level {
        let mut passes: Vec<Vec<u32>> = Vec::new();
        let mut tokens = 0;
        for node in nodes {
            let len = self.tree.node(node).len as usize;
            match passes.last_mut() {
                Some(pass) if tokens + len <= self.sizes.pass => pass.push(node),
                _ => {
                    passes.push(vec![node]);
                    tokens = 0;
                }
            }
            tokens += len;
        }
        passes.reverse();
        Level { passes, open: Vec::new() }
    }

    /// Computes some nodes whose ancestors are open and visits their positions; those with children are open afterwards. A node that is
    /// longer than a pass goes in pieces.
    fn pass(&self, nodes: &[u32], kvs: &mut [Open], visit: &mut Visit<'_>) -> Result<()> {
        let longest = nodes.iter().map(|node| self.tree.node(*node).len as usize).max().unwrap_or(0);
        let piece = if nodes.len() == 1 { self.sizes.pass } else { longest.max(1) };
        let mut owns: Vec<Vec<Kv>> = Vec::with_capacity(self.models.len());
        for model in &self.models {
            owns.push(nodes.iter().map(|node| model.new_kv(self.tree.node(*node).len as usize)).collect());
        }
        for start in (0..longest).step_by(piece) {
            let mut hidden = Vec::with_capacity(self.models.len());
            for ((model, own), open) in self.models.iter().zip(&mut owns).zip(kvs.iter()) {
                hidden.push(self.forward(model, (nodes, start..start + piece), own, open)?);
            }
            self.visit(&self.rows(nodes, start..start + piece), &hidden, visit)?;
        }
        for (own, open) in owns.into_iter().zip(kvs) {
            open.extend(nodes.iter().copied().zip(own).filter(|(node, _)| !self.tree.is_leaf(*node)));
        }
        Ok(())
    }

    /// A stretch of the tokens of each node.
    fn stretch(&self, node: u32, stretch: &Range<usize>) -> &[u32] {
        let tokens = self.tree.tokens(node);
        tokens.get(stretch.start..stretch.end.min(tokens.len())).unwrap_or_default()
    }

    fn forward(
        &self,
        model: &Model,
        (nodes, stretch): (&[u32], Range<usize>),
        own: &mut [Kv],
        open: &Open,
    ) -> Result<Hidden> {
        let mut branches: Vec<Branch<'_>> = Vec::with_capacity(nodes.len());
        for (node, own) in nodes.iter().zip(own) {
            let mut past: Vec<&Kv> = Vec::new();
            for above in self.tree.upwards(*node).skip(1) {
                past.push(open.get(&above).ok_or_else(|| Error::input("keys and values were dropped too early"))?);
            }
            past.reverse();
            let sequence_len = match self.tree.node(*node).class {
                0 => 0,
                len => model.length_class(len as usize),
            };
            branches.push(Branch { tokens: self.stretch(*node, &stretch), past, own, sequence_len });
        }
        model.forward(&mut branches)
    }

    /// Which rows of such a pass are asked about.
    fn rows(&self, nodes: &[u32], stretch: Range<usize>) -> Vec<(usize, Spot)> {
        let (mut rows, mut before) = (Vec::new(), 0);
        for node in nodes {
            let here = self.tree.node(*node);
            let first = here.depth as usize + stretch.start;
            let len = self.stretch(*node, &stretch).len();
            let wanted = here.rows();
            for position in (wanted.start as usize).max(first)..(wanted.end as usize).min(first + len) {
                let asked = self.asked.get(*node as usize).map(Vec::as_slice).unwrap_or_default();
                let text = asked.iter().take_while(|(from, _)| *from as usize <= position).last();
                let Some((_, text)) = text else { continue };
                let next = self.texts.get(*text as usize).map_or(0, |text| text.next(position));
                rows.push((before + position - first, Spot { text: *text, position: position as u32, next }));
            }
            before += len;
        }
        rows
    }

    fn visit(&self, rows: &[(usize, Spot)], hidden: &[Hidden], visit: &mut Visit<'_>) -> Result<()> {
        let widest = self.models.iter().map(|model| model.config.vocab_size).max().unwrap_or(1);
        for some in rows.chunks((self.sizes.logits / widest.max(1)).max(1)) {
            let (rows, spots): (Vec<usize>, Vec<Spot>) = some.iter().copied().unzip();
            let logits = self.models.iter().zip(hidden).map(|(model, hidden)| model.logits(hidden, &rows));
            visit(&spots, &logits.collect::<Result<Vec<_>>>()?)?;
        }
        Ok(())
    }
}
