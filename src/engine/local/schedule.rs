//! Passes over the tree: what goes into each, and what comes of it.
//!
//! A pass takes one token of every text that is being written and fills up with nodes of the tree. Only rows that somebody asks about go
//! through the language-model head, and all that is asked about one row is asked at once.

use super::decode::{Continuation, Texts};
use super::frontier::{Frontier, Kind, Piece};
use super::lm::{Branch, LanguageModel, RowScore};
use super::score::{Scores, SpanScore, TokenScore};
use super::tree::{Sequence, Tree};
use crate::engine::Cancel;
use crate::error::Result;
use crate::request::{Response, Unscored};
use rayon::ThreadPool;
use rayon::prelude::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelExtend, ParallelIterator,
};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;

/// A token that is asked about only to see whether there are numbers at all.
const PROBE: u32 = 0;

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

/// A text that is being written.
struct Text<K> {
    ask: u32,
    /// Where its prompt ends.
    node: u32,
    /// Keys and values of what was written; `None` while there is no place for it.
    kv: Option<K>,
    /// Tokens that they are of.
    fed: usize,
    /// Tokens that there is room for.
    room: usize,
    continuation: Continuation,
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

/// Rows of a pass that go through the head.
#[derive(Default)]
struct Asked {
    rows: Vec<usize>,
    targets: Vec<u32>,
    ranges: Vec<Range<usize>>,
    /// Rows whose logits are needed.
    drawn: Vec<usize>,
}

/// What the head said.
struct Heard {
    scores: Vec<RowScore>,
    /// `[drawn, vocabulary]`
    logits: Vec<f32>,
    vocabulary: usize,
}

/// Where a piece's or text's answers stand in [`Heard`].
#[derive(Default)]
struct Place {
    /// Rows inside a node.
    inside: Range<usize>,
    /// The row at the end of a node or text.
    end: Option<usize>,
    drawn: Option<usize>,
}

impl Asked {
    fn ask(&mut self, row: usize, targets: &[u32]) -> usize {
        let start = self.targets.len();
        self.targets.extend_from_slice(targets);
        self.ranges.push(start..self.targets.len());
        self.rows.push(row);
        self.rows.len() - 1
    }

    fn draw(&mut self, row: usize) -> usize {
        self.drawn.push(row);
        self.drawn.len() - 1
    }

    /// What is needed to choose the token after a row.
    fn choose(&mut self, row: usize, draws: bool) -> Place {
        if draws {
            Place { drawn: Some(self.draw(row)), ..Place::default() }
        } else {
            Place { end: Some(self.ask(row, &[PROBE])), ..Place::default() }
        }
    }

    fn hear<M: LanguageModel>(&self, model: &M, hidden: &M::Hidden) -> Result<Heard> {
        let targets: Vec<&[u32]> = self.ranges.iter().map(|range| &self.targets[range.clone()]).collect();
        let scores = if self.rows.is_empty() { Vec::new() } else { model.log_probs(hidden, &self.rows, &targets)? };
        let logits = if self.drawn.is_empty() { Vec::new() } else { model.logits(hidden, &self.drawn)? };
        let vocabulary = logits.len() / self.drawn.len().max(1);
        Ok(Heard { scores, logits, vocabulary })
    }
}

impl Heard {
    /// The first argmax and the logits after a row; an error when there are no numbers.
    fn choice(&self, place: &Place, draws: bool) -> std::result::Result<(u32, &[f32]), Unscored> {
        let choice = if draws {
            let first = place.drawn.unwrap_or(usize::MAX).saturating_mul(self.vocabulary);
            let logits = self.logits.get(first..first.saturating_add(self.vocabulary)).unwrap_or_default();
            (!logits.is_empty() && !logits.iter().any(|logit| logit.is_nan())).then_some((0, logits))
        } else {
            let score = place.end.and_then(|end| self.scores.get(end));
            let is_number = |score: &&RowScore| !score.log_probs.iter().any(|log_prob| log_prob.is_nan());
            score.filter(is_number).map(|score| (score.argmax, &[][..]))
        };
        choice.ok_or_else(|| {
            Unscored::new("the model gave NaN logits: its weights or its arithmetic (--dtype) are at fault")
        })
    }
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

    /// Bytes that a text with room for so many tokens takes.
    fn bytes_for(&self, room: usize) -> usize {
        self.model.kv_bytes(room)
    }

    /// Room for the tokens of a text, doubled from what texts begin with as keys and values grow.
    fn room_for(&self, continuation: &Continuation) -> usize {
        let first = self.settings.text_tokens.min(continuation.generation.max_new_tokens).max(1);
        first * continuation.tokens().len().div_ceil(first).next_power_of_two()
    }

    /// How many of a text's tokens go through the next pass: most often the last one, and all of them after the text had lost its place.
    /// Where keys depend on how long the sequence is, they have to be computed one by one, as they were before.
    fn feeding(&self, text: &Text<M::Kv>) -> usize {
        let tokens = text.continuation.tokens().len();
        let length = self.frontier.tree.node(text.node).depth_end() as usize + tokens;
        if self.model.length_class(length) == 0 { tokens - text.fed } else { 1 }
    }

    /// Makes room for the next token of every text. If there is not enough, the texts that were begun last lose their places.
    fn make_room_to_write(&mut self) {
        let mut index = 0;
        while let Some(text) = self.writing.get(index) {
            let (node, room) = (text.node, self.room_for(&text.continuation));
            let more = self.bytes_for(room).saturating_sub(self.bytes_for(text.room));
            if more > 0 && !self.frontier.reserve(more) {
                if index + 1 < self.writing.len() {
                    self.send_back_last();
                    continue;
                }
                // Somebody has to go on, whatever the budget.
                self.frontier.reserve_for(node, more);
            }
            self.writing[index].room = room;
            index += 1;
        }
    }

    /// Takes the place of the text that was begun last.
    fn send_back_last(&mut self) {
        let Some(mut text) = self.writing.pop() else { return };
        (text.kv, text.fed) = (None, 0);
        self.places_taken -= 1;
        self.frontier.release(self.bytes_for(text.room));
        self.waiting.push_front(text);
    }

    /// Gives places to texts that wait for one.
    fn admit(&mut self) {
        while let Some(mut text) = self.waiting.pop_front() {
            text.room = self.room_for(&text.continuation);
            if !self.take_place(text.node, text.room) {
                self.waiting.push_front(text);
                break;
            }
            text.kv = Some(self.model.new_kv(text.room));
            self.writing.push(text);
        }
    }

    /// Takes a place for a text, if there is one. The first always gets one: somebody has to go on, whatever the budget.
    fn take_place(&mut self, node: u32, room: usize) -> bool {
        let bytes = self.bytes_for(room);
        if self.places_taken == 0 {
            self.frontier.reserve_for(node, bytes);
        } else if self.places_taken >= self.settings.texts || !self.frontier.reserve(bytes) {
            return false;
        }
        self.places_taken += 1;
        true
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

    /// Gives places to the texts that go on from a node, to the first of them in any case.
    fn start(&mut self, node: u32) {
        let tree = self.frontier.tree;
        let mut texts = Vec::new();
        for sequence in tree.ending(node).iter().filter(|sequence| sequence.is_prompt()) {
            let begun = self.continuations.get_mut(sequence.ask as usize).and_then(Option::take);
            let Some(continuation) = begun else { continue };
            self.frontier.pin(node);
            let room = self.room_for(&continuation);
            let kv = self.take_place(node, room).then(|| self.model.new_kv(room));
            texts.push(Text { ask: sequence.ask, node, kv, fed: 0, room, continuation });
        }
        if !texts.is_empty() {
            self.starting.insert(node, texts);
        }
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

    /// Chooses the next token of every text, on all threads, and parts those that end from those that go on.
    fn write(&mut self, chosen: Vec<(Text<M::Kv>, Place)>, heard: &Heard, steps: &mut Vec<Step>) -> Result<()> {
        let texts = &self.texts;
        let choose = |(mut text, place): (Text<M::Kv>, Place)| {
            let continuation = &mut text.continuation;
            let outcome = match heard.choice(&place, continuation.picker.draws()) {
                Ok((argmax, logits)) => {
                    let next = continuation.picker.pick(argmax, logits)?;
                    continuation.push(next, texts)?.map(Ok)
                }
                Err(reason) => Some(Err(reason)),
            };
            Ok((text, outcome))
        };
        let written: Vec<_> = chosen.into_par_iter().map(choose).collect::<Result<_>>()?;
        for (text, outcome) in written {
            self.computed += usize::from(!matches!(outcome, Some(Err(_))));
            match outcome {
                Some(outcome) => {
                    self.end(&text);
                    steps.push(Step::Written(text.ask, outcome));
                }
                None if text.kv.is_some() => self.writing.push(text),
                None => self.waiting.push_back(text),
            }
        }
        Ok(())
    }

    /// Frees what an ended text took.
    fn end(&mut self, text: &Text<M::Kv>) {
        let Text { node, continuation, .. } = text;
        self.of -= continuation.generation.max_new_tokens.saturating_sub(continuation.picked());
        if text.kv.is_some() {
            self.places_taken -= 1;
            self.frontier.release(self.bytes_for(text.room));
        }
        let closed = self.frontier.unpin(*node);
        self.forget(&closed);
    }

    fn forget(&mut self, closed: &[u32]) {
        closed.iter().for_each(|node| self.scores.forget(*node));
    }
}

fn token_score(score: &RowScore, target: usize, token: u32) -> TokenScore {
    let log_prob = score.log_probs.get(target).copied().unwrap_or(f64::NAN);
    TokenScore { log_prob, is_greedy: score.argmax == token }
}
