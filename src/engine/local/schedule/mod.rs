//! Passes over the tree: what goes into each, and what comes of it.
//!
//! A pass takes one token of every text that is being written and fills up with nodes of the tree. Only rows that somebody asks about go
//! through the language-model head, and all that is asked about one row is asked at once.

mod head;
mod texts;

use super::decode::{Continuation, Texts};
use super::frontier::{Frontier, Kind, Piece};
use super::lm::{Branch, LanguageModel};
use super::score::{Scores, SpanScore};
use super::tree::{Sequence, Tree};
use crate::engine::Cancel;
use crate::error::Result;
use crate::request::{Response, Unscored};
use head::{Asked, Heard, PROBE, Place, token_score};
use rayon::ThreadPool;
use rayon::prelude::{IndexedParallelIterator, IntoParallelRefIterator, ParallelExtend, ParallelIterator};
use std::collections::{HashMap, VecDeque};
use texts::Text;

/// How much is done at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Tokens in a pass, about.
    pub pass_tokens: usize,
    /// Texts written at the same time.
    pub texts: usize,
    /// Tokens of a text that there is room for at first; the room doubles as the text grows.
    pub text_tokens: usize,
    /// Bytes of keys and values that are kept.
    pub kv_memory: usize,
}

/// Something has come of a pass.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The score of a sequence, by its `ask`.
    Scored(u32, SpanScore),
    /// A text, or why there is none, by its prompt's `ask`.
    Written(u32, std::result::Result<Response, Unscored>),
    /// Tokens computed so far and tokens altogether, at most. What had to be computed again does not count.
    Computed { computed: usize, of: usize },
}

/// The work on a tree.
pub struct Schedule<'a, M: LanguageModel> {
    model: &'a M,
    settings: Settings,
    texts: Texts<'a>,
    frontier: Frontier<'a, M>,
    scores: Scores,
    /// What has not begun, by `ask`.
    continuations: Vec<Option<Continuation>>,
    /// Texts of prompts that are being computed, by node.
    starting: HashMap<u32, Vec<Text<M::Kv>>>,
    /// Texts with a first token and without a place.
    waiting: VecDeque<Text<M::Kv>>,
    writing: Vec<Text<M::Kv>>,
    /// Texts with a place.
    places_taken: usize,
    computed: usize,
    of: usize,
}

impl<'a, M: LanguageModel> Schedule<'a, M> {
    /// All work of a tree; `continuations` belong to the `ask`s of its prompts.
    pub fn new(
        model: &'a M,
        tree: &'a Tree,
        continuations: Vec<Continuation>,
        texts: Texts<'a>,
        settings: Settings,
    ) -> Schedule<'a, M> {
        let to_write: usize = continuations.iter().map(|c| c.generation.max_new_tokens).sum();
        Schedule {
            model,
            settings,
            texts,
            frontier: Frontier::new(model, tree, settings.kv_memory, settings.pass_tokens),
            scores: Scores::default(),
            continuations: continuations.into_iter().map(Some).collect(),
            starting: HashMap::new(),
            waiting: VecDeque::new(),
            writing: Vec::new(),
            places_taken: 0,
            computed: 0,
            of: tree.num_tokens() + to_write,
        }
    }

    /// Does all of it on the threads of a pool, telling what comes of it on this one. Stops early when `cancel` is set, which is looked
    /// at between passes, and at the first error.
    pub fn run(
        mut self,
        pool: &ThreadPool,
        cancel: &Cancel,
        on_step: &mut dyn FnMut(Step) -> Result<()>,
    ) -> Result<()> {
        while !cancel.is_cancelled() {
            let Some(steps) = pool.install(|| self.pass())? else { break };
            steps.into_iter().try_for_each(&mut *on_step)?;
            on_step(Step::Computed { computed: self.computed, of: self.of })?;
        }
        Ok(())
    }

    /// One pass; `None` when nothing is left to do.
    fn pass(&mut self) -> Result<Option<Vec<Step>>> {
        self.make_room_to_write();
        self.admit();
        let pieces = self.choose();
        if pieces.is_empty() && self.writing.is_empty() {
            return Ok(None);
        }
        let mut asked = Asked::default();
        let mut row = 0;
        let mut of_texts = Vec::with_capacity(self.writing.len());
        for text in &self.writing {
            row += self.feeding(text);
            let is_up_to_date = text.fed + self.feeding(text) == text.continuation.tokens().len();
            of_texts.push(is_up_to_date.then(|| asked.choose(row - 1, text.continuation.picker.draws())));
        }
        let mut of_pieces = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            of_pieces.push(self.ask_about(piece, row, &mut asked));
            row += (piece.to - piece.from) as usize;
        }
        let heard = self.forward(&pieces, &asked)?;
        let (mut steps, mut chosen) = (Vec::new(), Vec::new());
        for (text, place) in std::mem::take(&mut self.writing).into_iter().zip(of_texts) {
            match place {
                Some(place) => chosen.push((text, place)),
                None => self.writing.push(text),
            }
        }
        for (piece, place) in pieces.iter().zip(of_pieces) {
            self.hear(piece, place, &heard, &mut steps, &mut chosen);
        }
        self.write(chosen, &heard, &mut steps)?;
        Ok(Some(steps))
    }

    /// The nodes that fill up the next pass.
    fn choose(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let feeding: usize = self.writing.iter().map(|text| self.feeding(text)).sum();
        let mut room = self.settings.pass_tokens.saturating_sub(feeding).max(self.frontier.least_piece);
        if let Some(node) = self.frontier.take_begun() {
            self.add(node, &mut room, &mut pieces);
        }
        if pieces.is_empty() && self.writing.is_empty() {
            let next = [Kind::Prompt, Kind::Other].map(|kind| self.frontier.next(kind).map(|node| (node, kind)));
            if let Some((node, kind)) = next.into_iter().flatten().min_by_key(|(node, _)| *node) {
                self.frontier.make_room(node, self.frontier.need(node) + self.need_besides(node, kind));
                self.add(node, &mut room, &mut pieces);
            }
        }
        for kind in [Kind::Prompt, Kind::Other] {
            while let Some(node) = self.frontier.next(kind) {
                let has_place =
                    kind == Kind::Other || (self.places_taken < self.settings.texts && self.waiting.is_empty());
                let fits = has_place && self.frontier.fits(node, self.need_besides(node, kind));
                if !fits || !self.add(node, &mut room, &mut pieces) {
                    break;
                }
            }
        }
        pieces
    }

    /// Bytes that the first continuation of a prompt takes.
    fn need_besides(&self, node: u32, kind: Kind) -> usize {
        match (kind, self.prompts(node).next()) {
            (Kind::Prompt, Some(continuation)) => self.bytes_for(self.room_for(continuation)),
            _ => 0,
        }
    }

    /// What is to be written from the end of a node and has not begun.
    fn prompts(&self, node: u32) -> impl Iterator<Item = &Continuation> {
        let prompts = self.frontier.tree.ending(node).iter().filter(|sequence| sequence.is_prompt());
        prompts.filter_map(|sequence| self.continuations.get(sequence.ask as usize)?.as_ref())
    }

    /// Adds a node, or a part of it, to a pass. Says whether there was room.
    fn add(&mut self, node: u32, room: &mut usize, pieces: &mut Vec<Piece>) -> bool {
        let piece = if *room > 0 { self.frontier.take(node, *room) } else { None };
        let Some(piece) = piece else { return false };
        *room = room.saturating_sub((piece.to - piece.from) as usize);
        pieces.push(piece);
        self.start(node);
        true
    }

    /// Asks what somebody wants to know about a piece whose first token is at `row`, unless it is known already.
    fn ask_about(&self, piece: &Piece, row: usize, asked: &mut Asked) -> Place {
        let tree = self.frontier.tree;
        let node = tree.node(piece.node);
        let tokens = tree.tokens(piece.node);
        let first_asked = (node.rows().start - node.depth).max(piece.from).max(piece.known);
        let last = node.len - 1;
        let mut place = Place { inside: asked.rows.len()..asked.rows.len(), ..Place::default() };
        for offset in first_asked..piece.to.min(last) {
            let next = offset as usize + 1;
            asked.ask(row + (offset - piece.from) as usize, &tokens[next..=next]);
        }
        place.inside.end = asked.rows.len();
        if piece.to <= last || piece.known > last {
            return place;
        }
        let row = row + (last - piece.from) as usize;
        let starting = self.starting.get(&piece.node).map(Vec::as_slice).unwrap_or_default();
        let draws = |text: &Text<M::Kv>| text.continuation.picker.draws();
        if !node.rows().is_empty() {
            place.end = Some(asked.ask(row, &tree.targets_at_end(piece.node)));
        } else if starting.iter().any(|text| !draws(text)) {
            place.end = Some(asked.ask(row, &[PROBE]));
        }
        if starting.iter().any(draws) {
            place.drawn = Some(asked.draw(row));
        }
        place
    }

    /// Runs the model over the next token of every text and over the pieces.
    fn forward(&mut self, pieces: &[Piece], asked: &Asked) -> Result<Heard> {
        let (model, tree) = (self.model, self.frontier.tree);
        let mut own: Vec<M::Kv> = self.writing.iter_mut().filter_map(|text| text.kv.take()).collect();
        let begun: Vec<Option<M::Kv>> = pieces.iter().map(|piece| self.frontier.take_kv(piece.node)).collect();
        own.par_extend(pieces.par_iter().zip(begun).map(|(piece, begun)| {
            // Making room writes zeros everywhere.
            begun.unwrap_or_else(|| model.new_kv(tree.node(piece.node).len as usize))
        }));
        let texts = self.writing.iter().map(|text| {
            let to = text.fed + self.feeding(text);
            let length = tree.node(text.node).depth_end() as usize + to;
            (&text.continuation.tokens()[text.fed..to], text.node, model.length_class(length))
        });
        let nodes = pieces.iter().map(|piece| {
            let tokens = &tree.tokens(piece.node)[piece.from as usize..piece.to as usize];
            (tokens, piece.node, tree.node(piece.node).class as usize)
        });
        let mut branches: Vec<Branch<'_, M::Kv>> = texts
            .chain(nodes)
            .zip(&mut own)
            .map(|((tokens, node, sequence_len), own)| {
                // A node's own keys are not among those kept while they are being computed.
                Branch { tokens, past: self.frontier.path(node), own, sequence_len }
            })
            .collect();
        let hidden = model.forward(&mut branches)?;
        drop(branches);
        let fed: Vec<usize> = self.writing.iter().map(|text| text.fed + self.feeding(text)).collect();
        let mut own = own.into_iter();
        for ((text, fed), kv) in self.writing.iter_mut().zip(fed).zip(&mut own) {
            (text.kv, text.fed) = (Some(kv), fed);
        }
        pieces.iter().zip(own).for_each(|(piece, kv)| self.frontier.keep_kv(piece.node, kv));
        asked.hear(model, &hidden)
    }

    /// Takes what was heard about a piece: scores, the sequences that end with it, the texts that begin there.
    fn hear(
        &mut self,
        piece: &Piece,
        place: Place,
        heard: &Heard,
        steps: &mut Vec<Step>,
        chosen: &mut Vec<(Text<M::Kv>, Place)>,
    ) {
        let tree = self.frontier.tree;
        let tokens = tree.tokens(piece.node);
        // The last row asked about inside a node is the one before the last of the piece, or of the node.
        let asked = place.inside.len();
        let end = (piece.to as usize + 1).min(tokens.len());
        for (score, token) in heard.scores[place.inside.clone()].iter().zip(&tokens[end - asked..end]) {
            self.scores.push_inside(piece.node, token_score(score, 0, *token));
        }
        self.computed += piece.to.saturating_sub(piece.from.max(piece.known)) as usize;
        if !self.frontier.computed(*piece) {
            return;
        }
        if (piece.known as usize) < tokens.len() {
            if let Some(score) = place.end.and_then(|end| heard.scores.get(end)) {
                let targets = tree.targets_at_end(piece.node).into_iter().enumerate();
                let scores = targets.map(|(i, token)| (token, token_score(score, i, token))).collect();
                self.scores.set_at_end(piece.node, scores);
            }
            self.sum(piece.node, steps);
            for text in self.starting.remove(&piece.node).unwrap_or_default() {
                chosen.push((text, Place { end: place.end, drawn: place.drawn, ..Place::default() }));
            }
        }
        let closed = self.frontier.answered(piece.node);
        self.forget(&closed);
    }

    /// Scores the sequences that end at a node.
    fn sum(&self, node: u32, steps: &mut Vec<Step>) {
        let tree = self.frontier.tree;
        let mut before: Option<(Sequence, SpanScore)> = None;
        for sequence in tree.ending(node).iter().filter(|sequence| !sequence.is_prompt()) {
            // Equal requests are often neighbours.
            let known = before.filter(|(b, _)| (b.first, b.last) == (sequence.first, sequence.last));
            let score = known.map(|(_, score)| score).or_else(|| self.scores.span(tree, node, sequence));
            if let Some(score) = score {
                before = Some((*sequence, score));
                steps.push(Step::Scored(sequence.ask, score));
            }
        }
    }

    fn forget(&mut self, closed: &[u32]) {
        closed.iter().for_each(|node| self.scores.forget(*node));
    }
}
