//! Texts that are being written: who has a place, how they grow, when they end.
//!
//! So many texts have a place, with keys and values of what they have written; the others wait. Room for keys and values grows with the
//! text; when there is no more, the texts that were begun last give their places back and write on later.

use super::head::{Heard, Place};
use super::{Schedule, Step};
use crate::engine::local::decode::Continuation;
use crate::engine::local::lm::LanguageModel;
use crate::error::Result;
use rayon::prelude::{IntoParallelIterator, ParallelIterator};

/// A text that is being written.
pub(super) struct Text<K> {
    pub(super) ask: u32,
    /// Where its prompt ends.
    pub(super) node: u32,
    /// Keys and values of what was written; `None` while there is no place for it.
    pub(super) kv: Option<K>,
    /// Tokens that they are of.
    pub(super) fed: usize,
    /// Tokens that there is room for.
    pub(super) room: usize,
    pub(super) continuation: Continuation,
}

impl<M: LanguageModel> Schedule<'_, M> {
    /// Makes room for the next token of every text. If there is not enough, the texts that were begun last lose their places.
    pub(super) fn make_room_to_write(&mut self) {
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
    pub(super) fn send_back_last(&mut self) {
        let Some(mut text) = self.writing.pop() else { return };
        (text.kv, text.fed) = (None, 0);
        self.places_taken -= 1;
        self.frontier.release(self.bytes_for(text.room));
        self.waiting.push_front(text);
    }

    /// Gives places to texts that wait for one.
    pub(super) fn admit(&mut self) {
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

    /// Gives places to the texts that go on from a node, to the first of them in any case.
    pub(super) fn start(&mut self, node: u32) {
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

    /// Takes a place for a text, if there is one. The first always gets one: somebody has to go on, whatever the budget.
    pub(super) fn take_place(&mut self, node: u32, room: usize) -> bool {
        let bytes = self.bytes_for(room);
        if self.places_taken == 0 {
            self.frontier.reserve_for(node, bytes);
        } else if self.places_taken >= self.settings.texts || !self.frontier.reserve(bytes) {
            return false;
        }
        self.places_taken += 1;
        true
    }

    /// Bytes that a text with room for so many tokens takes.
    pub(super) fn bytes_for(&self, room: usize) -> usize {
        self.model.kv_bytes(room)
    }

    /// Room for the tokens of a text, doubled from what texts begin with as keys and values grow.
    pub(super) fn room_for(&self, continuation: &Continuation) -> usize {
        let first = self.settings.text_tokens.min(continuation.generation.max_new_tokens).max(1);
        first * continuation.tokens().len().div_ceil(first).next_power_of_two()
    }

    /// How many of a text's tokens go through the next pass: most often the last one, and all of them after the text had lost its place.
    /// Where keys depend on how long the sequence is, they have to be computed one by one, as they were before.
    pub(super) fn feeding(&self, text: &Text<M::Kv>) -> usize {
        let tokens = text.continuation.tokens().len();
        let length = self.frontier.tree.node(text.node).depth_end() as usize + tokens;
        if self.model.length_class(length) == 0 { tokens - text.fed } else { 1 }
    }

    /// Chooses the next token of every text, on all threads, and parts those that end from those that go on.
    pub(super) fn write(
        &mut self,
        chosen: Vec<(Text<M::Kv>, Place)>,
        heard: &Heard,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let texts = &self.texts;
        let choose = |(mut text, place): (Text<M::Kv>, Place)| {
            let continuation = &mut text.continuation;
            let outcome = match heard.choice(&place, continuation.picker.draws()) {
                Ok((argmax, logits)) => {
                    let next = continuation.picker.pick(argmax, logits)?;
                    continuation.push(next, texts)?
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
    pub(super) fn end(&mut self, text: &Text<M::Kv>) {
        let Text { node, continuation, .. } = text;
        self.of -= continuation.generation.max_new_tokens.saturating_sub(continuation.picked());
        if text.kv.is_some() {
            self.places_taken -= 1;
            self.frontier.release(self.bytes_for(text.room));
        }
        let closed = self.frontier.unpin(*node);
        self.forget(&closed);
    }
}
