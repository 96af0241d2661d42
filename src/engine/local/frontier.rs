//! Which nodes of the tree come next, and whose keys and values are kept.
//!
//! A node can be computed when its parent is; of those the ones first in depth-first order go first, so that what is kept is little
//! more than the way to where the work is. A node's keys and values are freed when nothing under it is to be done any more. When the
//! memory does not suffice for the next node, those that will be needed last are given up and computed again later.

use super::lm::LanguageModel;
use super::tree::Tree;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Consecutive tokens of a node, from and to an offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub node: u32,
    pub from: u32,
    pub to: u32,
    /// Offset up to which the node had been computed before, even if its keys and values were given up since.
    pub known: u32,
}

/// The two kinds of nodes that wait for their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Prompts to be continued end here: it will be kept for long.
    Prompt,
    Other,
}

/// What is known of a node.
#[derive(Debug, Clone, Default)]
struct State {
    /// Tokens with keys and values.
    done: u32,
    /// Tokens that were ever computed.
    known: u32,
    /// Children and continuations that are not finished.
    open: u32,
    queued: bool,
    /// All of it is done.
    closed: bool,
}

/// The work on a tree.
pub struct Frontier<'a, M: LanguageModel> {
    model: &'a M,
    pub tree: &'a Tree,
    /// Bytes of keys and values that may be kept.
    budget: usize,
    used: usize,
    /// A node is cut only into pieces of at least so many tokens.
    pub least_piece: usize,
    /// Part of the budget that only leaves may use, which give it back when their pass is over.
    spare: usize,
    states: Vec<State>,
    prompts: BinaryHeap<Reverse<u32>>,
    others: BinaryHeap<Reverse<u32>>,
    /// A node of which a part was computed.
    begun: Option<u32>,
    kept: BTreeMap<u32, M::Kv>,
    /// Nodes that must be kept, with those above them, and how many continuations want it.
    pinned: BTreeMap<u32, u32>,
}

impl<'a, M: LanguageModel> Frontier<'a, M> {
    /// All work of a tree, with so many bytes for keys and values; `pass_tokens` are computed at a time.
    pub fn new(model: &'a M, tree: &'a Tree, budget: usize, pass_tokens: usize) -> Frontier<'a, M> {
        let open = |node: u32| {
            let continuations = tree.ending(node).iter().filter(|sequence| sequence.is_prompt()).count();
            (tree.children(node).count() + continuations) as u32
        };
        let states = (0..tree.nodes().len() as u32).map(|node| State { open: open(node), ..State::default() });
        let mut frontier = Frontier {
            model,
            tree,
            budget,
            used: 0,
            least_piece: (pass_tokens / 16).max(1),
            spare: model.kv_bytes(pass_tokens).min(budget / 2),
            states: states.collect(),
            prompts: BinaryHeap::new(),
            others: BinaryHeap::new(),
            begun: None,
            kept: BTreeMap::new(),
            pinned: BTreeMap::new(),
        };
        tree.roots().for_each(|root| frontier.queue(root));
        frontier
    }

    fn state(&mut self, node: u32) -> &mut State {
        &mut self.states[node as usize]
    }

    fn is_computed(&self, node: u32) -> bool {
        self.states[node as usize].done == self.tree.node(node).len
    }

    fn queue(&mut self, node: u32) {
        let state = self.state(node);
        if state.queued || state.closed {
            return;
        }
        state.queued = true;
        match self.kind(node) {
            Kind::Prompt => self.prompts.push(Reverse(node)),
            Kind::Other => self.others.push(Reverse(node)),
        }
    }

    /// A prompt's continuations are begun only once: when the node has to be computed again it is one like others.
    fn kind(&self, node: u32) -> Kind {
        let is_new = self.states[node as usize].known < self.tree.node(node).len;
        let prompts = is_new && self.tree.ending(node).iter().any(|sequence| sequence.is_prompt());
        if prompts { Kind::Prompt } else { Kind::Other }
    }

    fn heap(&mut self, kind: Kind) -> &mut BinaryHeap<Reverse<u32>> {
        match kind {
            Kind::Prompt => &mut self.prompts,
            Kind::Other => &mut self.others,
        }
    }

    /// The next node of a kind that can be computed.
    pub fn next(&mut self, kind: Kind) -> Option<u32> {
        loop {
            let Reverse(node) = *self.heap(kind).peek()?;
            if self.tree.node(node).parent().is_none_or(|parent| self.is_computed(parent)) {
                return Some(node);
            }
            // Its parent was given up, and will name it again.
            self.heap(kind).pop();
            self.state(node).queued = false;
        }
    }

    /// Bytes that computing a node takes.
    pub fn need(&self, node: u32) -> usize {
        self.model.kv_bytes(self.tree.node(node).len as usize)
    }

    /// Whether there is memory for a node and so much besides.
    pub fn fits(&self, node: u32, besides: usize) -> bool {
        let is_short_lived = self.tree.is_leaf(node) && self.kind(node) == Kind::Other;
        let spare = if is_short_lived { 0 } else { self.spare };
        self.used + self.need(node) + besides + spare <= self.budget
    }

    /// Counts memory for keys and values that belong to no node, if there is enough.
    pub fn reserve(&mut self, bytes: usize) -> bool {
        let fits = self.used + bytes + self.spare <= self.budget;
        if fits {
            self.used += bytes;
        }
        fits
    }

    /// Counts memory even where there is not enough, after giving up what can be computed again.
    pub fn reserve_for(&mut self, node: u32, bytes: usize) {
        self.make_room(node, bytes);
        self.used += bytes;
    }

    pub fn release(&mut self, bytes: usize) {
        self.used -= bytes;
    }

    /// Gives up what is needed last until there are so many bytes free, or nothing is left but what stands above `node` and
    /// pinned nodes.
    pub fn make_room(&mut self, node: u32, bytes: usize) {
        while self.used + bytes > self.budget {
            let may_go = |kept: &u32| {
                let below = *kept..self.tree.node(*kept).end;
                !below.contains(&node) && self.pinned.range(below).next().is_none()
            };
            // The last one has nothing kept below it.
            let Some(last) = self.kept.keys().rev().copied().find(may_go) else { break };
            self.drop_kv(last);
            self.state(last).done = 0;
            self.begun = self.begun.filter(|begun| *begun != last);
            self.queue(last);
        }
    }

    /// Keeps a node and those above it for one more continuation.
    pub fn pin(&mut self, node: u32) {
        *self.pinned.entry(node).or_default() += 1;
    }

    /// One continuation of a node has ended. Returns the nodes of which nothing is left to do.
    pub fn unpin(&mut self, node: u32) -> Vec<u32> {
        if let Some(count) = self.pinned.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                self.pinned.remove(&node);
            }
        }
        let state = self.state(node);
        state.open -= 1;
        if state.open > 0 { Vec::new() } else { self.close(node) }
    }

    /// The piece of a node that was begun before, or of one that `next` gave, of about `room` tokens at most; `None` when that is too
    /// little to begin with.
    pub fn take(&mut self, node: u32, room: usize) -> Option<Piece> {
        let len = self.tree.node(node).len;
        let State { done, known, .. } = self.states[node as usize];
        let rest = (len - done) as usize;
        // A little more is better than a crumb in the next pass.
        let tokens = if rest <= room + self.least_piece { rest } else { room };
        if tokens < self.least_piece.min(rest) {
            return None;
        }
        if self.state(node).queued {
            let kind = self.kind(node);
            let popped = self.heap(kind).pop();
            debug_assert_eq!(popped, Some(Reverse(node)));
            self.state(node).queued = false;
        }
        if done == 0 {
            self.used += self.need(node);
        }
        Some(Piece { node, from: done, to: done + tokens as u32, known })
    }

    /// The node of which the last pass computed a part.
    pub fn take_begun(&mut self) -> Option<u32> {
        self.begun.take()
    }

    /// Keys and values on the way to a node, root first, that node's included.
    pub fn path(&self, node: u32) -> Vec<&M::Kv> {
        let mut path: Vec<&M::Kv> = self.tree.upwards(node).filter_map(|node| self.kept.get(&node)).collect();
        path.reverse();
        path
    }

    /// A node's keys and values, to be computed on, if there are some.
    pub fn take_kv(&mut self, node: u32) -> Option<M::Kv> {
        self.kept.remove(&node)
    }

    /// Takes them back.
    pub fn keep_kv(&mut self, node: u32, kv: M::Kv) {
        self.kept.insert(node, kv);
    }

    /// A piece was computed. Says whether the node is complete now.
    pub fn computed(&mut self, piece: Piece) -> bool {
        let state = self.state(piece.node);
        state.done = piece.to;
        state.known = state.known.max(piece.to);
        if !self.is_computed(piece.node) {
            self.begun = Some(piece.node);
            return false;
        }
        let tree = self.tree;
        tree.children(piece.node).for_each(|child| self.queue(child));
        true
    }

    /// A complete node's own requests are answered (its continuations apart). Returns the nodes of which nothing is left to do.
    pub fn answered(&mut self, node: u32) -> Vec<u32> {
        if self.states[node as usize].open > 0 { Vec::new() } else { self.close(node) }
    }

    fn close(&mut self, node: u32) -> Vec<u32> {
        let mut closed = Vec::new();
        let mut next = Some(node);
        while let Some(node) = next {
            self.drop_kv(node);
            self.state(node).closed = true;
            closed.push(node);
            next = self.tree.node(node).parent().filter(|parent| {
                let parent = self.state(*parent);
                parent.open -= 1;
                parent.open == 0
            });
        }
        closed
    }

    fn drop_kv(&mut self, node: u32) {
        if self.kept.remove(&node).is_some() {
            self.used -= self.need(node);
        }
    }
}
