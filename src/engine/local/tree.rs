//! A radix tree over token ids: what sequences have in common stands in it once.
//!
//! Comes in: sequences of token ids, each with the positions that are asked about. Goes out: nodes in depth-first order whose tokens
//! lie one behind the other in one vector.

use rayon::prelude::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator, ParallelSliceMut};
use std::cmp::Ordering;
use std::iter::successors;
use std::ops::Range;

/// Tokens compared at a time.
const BLOCK: usize = 64;

/// No node, and no position.
const NONE: u32 = u32::MAX;

/// A way from a root to a node, and what is asked along it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence {
    /// What it is for, in the caller's numbering.
    pub ask: u32,
    /// Sequences of different classes share nothing.
    pub class: u32,
    /// Tokens that are fed to the model.
    pub len: u32,
    /// First position whose next token is asked about; `len` where the sequence is a prompt to be continued.
    pub first: u32,
    /// The token after the last one that is fed. It is only asked about.
    pub last: u32,
}

impl Sequence {
    /// Whether it is a prompt to be continued.
    pub fn is_prompt(&self) -> bool {
        self.first == self.len
    }
}

/// Tokens that all sequences through a node have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    parent: u32,
    /// One past the last of its descendants, which follow it.
    pub end: u32,
    /// Where its tokens begin in [`Tree::ids`].
    start: usize,
    /// Position of its first token in the sequences.
    pub depth: u32,
    /// How many tokens it has, at least 1.
    pub len: u32,
    /// First position that a sequence through this node asks about.
    wanted: u32,
    /// The sequences that end here.
    ending: Range<u32>,
    pub class: u32,
}

impl Node {
    pub fn parent(&self) -> Option<u32> {
        Some(self.parent).filter(|parent| *parent != NONE)
    }

    /// Position after its last token.
    pub fn depth_end(&self) -> u32 {
        self.depth + self.len
    }

    /// The positions of this node that are asked about; they reach to its end.
    pub fn rows(&self) -> Range<u32> {
        self.wanted.clamp(self.depth, self.depth_end())..self.depth_end()
    }
}

/// The tree (with several roots, where sequences do not begin alike).
#[derive(Debug, Default)]
pub struct Tree {
    /// Tokens of the nodes, in their order.
    ids: Vec<u32>,
    /// Parents before children, children before the next sibling.
    nodes: Vec<Node>,
    sequences: Vec<Sequence>,
}

/// Collects sequences.
#[derive(Default)]
pub struct TreeBuilder {
    ids: Vec<u32>,
    starts: Vec<usize>,
    sequences: Vec<Sequence>,
}

/// A node before it knows its place: the sequences through it, and from and to which position.
struct Edge {
    sequences: Range<u32>,
    depths: Range<u32>,
}

impl TreeBuilder {
    /// Adds a sequence of which the last `targets` next tokens are asked about, `last` after the input's end; at least one.
    pub fn add_scored(
        &mut self,
        ask: u32,
        class: u32,
        input: impl IntoIterator<Item = u32>,
        targets: usize,
        last: u32,
    ) {
        let len = self.add(input);
        let first = len.saturating_sub(targets.max(1) as u32);
        self.sequences.push(Sequence { ask, class, len, first, last });
    }

    /// Adds a prompt to be continued.
    pub fn add_prompt(&mut self, ask: u32, class: u32, input: impl IntoIterator<Item = u32>) {
        let len = self.add(input);
        self.sequences.push(Sequence { ask, class, len, first: len, last: 0 });
    }

    fn add(&mut self, input: impl IntoIterator<Item = u32>) -> u32 {
        let start = self.ids.len();
        self.starts.push(start);
        self.ids.extend(input);
        (self.ids.len() - start) as u32
    }

    /// Tokens of all sequences together.
    pub fn num_tokens(&self) -> usize {
        self.ids.len()
    }

    /// Builds the tree on the current thread pool: sorts the sequences and looks at what neighbours have in common.
    pub fn build(self) -> Tree {
        let tokens = |index: u32| {
            let start = self.starts[index as usize];
            &self.ids[start..start + self.sequences[index as usize].len as usize]
        };
        let mut order: Vec<u32> = (0..self.sequences.len() as u32).collect();
        order.par_sort_unstable_by(|a, b| {
            let (left, right) = (&self.sequences[*a as usize], &self.sequences[*b as usize]);
            let by_class = left.class.cmp(&right.class);
            by_class.then_with(|| compare(tokens(*a), tokens(*b))).then(a.cmp(b))
        });
        let shared = |index: usize| {
            let Some(before) = index.checked_sub(1).map(|before| order[before]) else { return 0 };
            let same_class = self.sequences[before as usize].class == self.sequences[order[index] as usize].class;
            if same_class { common(tokens(before), tokens(order[index])) as u32 } else { 0 }
        };
        let shared: Vec<u32> = (0..order.len()).into_par_iter().with_min_len(1024).map(shared).collect();
        let sequences: Vec<Sequence> = order.iter().map(|index| self.sequences[*index as usize]).collect();
        let mut edges = edges(&sequences, &shared);
        edges.sort_unstable_by_key(|edge| (edge.sequences.start, edge.depths.start));
        let mut tree = Tree { ids: Vec::new(), nodes: nodes(&edges, &sequences), sequences };
        for (edge, node) in edges.iter().zip(&mut tree.nodes) {
            let tokens = tokens(order[edge.sequences.start as usize]);
            node.start = tree.ids.len();
            tree.ids.extend_from_slice(&tokens[edge.depths.start as usize..edge.depths.end as usize]);
        }
        tree.ids.shrink_to_fit();
        tree
    }
}

/// The edges of the tree of sorted sequences, of which each has `shared` tokens in common with the one before.
fn edges(sequences: &[Sequence], shared: &[u32]) -> Vec<Edge> {
    let mut edges = Vec::new();
    // Ends of the nodes on the way to the last sequence, each with the first sequence through it.
    let mut open: Vec<(u32, u32)> = Vec::new();
    for index in 0..=sequences.len() {
        let shared = shared.get(index).copied().unwrap_or(0);
        let mut first = index as u32;
        while let Some((end, opened)) = open.pop_if(|(end, _)| *end > shared) {
            first = opened;
            let begin = open.last().map_or(0, |(end, _)| *end).max(shared);
            edges.push(Edge { sequences: first..index as u32, depths: begin..end });
        }
        let reached = open.last().map_or(0, |(end, _)| *end);
        if reached < shared {
            open.push((shared, first));
        }
        if let Some(sequence) = sequences.get(index)
            && sequence.len > reached.max(shared)
        {
            open.push((sequence.len, index as u32));
        }
    }
    edges
}

/// Nodes of sorted edges.
fn nodes(edges: &[Edge], sequences: &[Sequence]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::with_capacity(edges.len());
    // The way to the last node.
    let mut path: Vec<u32> = Vec::new();
    for (index, edge) in edges.iter().enumerate() {
        while let Some(done) = path.pop_if(|node| edges[*node as usize].sequences.end <= edge.sequences.start) {
            nodes[done as usize].end = index as u32;
        }
        let through = &sequences[edge.sequences.start as usize..edge.sequences.end as usize];
        let ending = through.iter().take_while(|sequence| sequence.len == edge.depths.end).count() as u32;
        nodes.push(Node {
            parent: path.last().copied().unwrap_or(NONE),
            end: NONE,
            start: 0,
            depth: edge.depths.start,
            len: edge.depths.end - edge.depths.start,
            wanted: NONE,
            ending: edge.sequences.start..edge.sequences.start + ending,
            class: through.first().map_or(0, |sequence| sequence.class),
        });
        path.push(index as u32);
    }
    path.into_iter().for_each(|node| nodes[node as usize].end = edges.len() as u32);
    for index in (0..nodes.len()).rev() {
        let ending = &sequences[nodes[index].ending.start as usize..nodes[index].ending.end as usize];
        let own = ending.iter().filter(|sequence| !sequence.is_prompt()).map(|sequence| sequence.first).min();
        let wanted = nodes[index].wanted.min(own.unwrap_or(NONE));
        nodes[index].wanted = wanted;
        if let Some(parent) = nodes[index].parent() {
            let parent = &mut nodes[parent as usize];
            parent.wanted = parent.wanted.min(wanted);
        }
    }
    nodes
}

/// How many tokens two sequences have in common at their beginnings.
fn common(a: &[u32], b: &[u32]) -> usize {
    // Whole blocks go through memcmp.
    let blocks = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK)).take_while(|(a, b)| a == b).count() * BLOCK;
    let rest = a.iter().skip(blocks).zip(b.iter().skip(blocks));
    blocks + rest.take_while(|(a, b)| a == b).count()
}

fn compare(a: &[u32], b: &[u32]) -> Ordering {
    let common = common(a, b);
    a.get(common).cmp(&b.get(common))
}

impl Tree {
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    /// Tokens in all nodes: what has to be computed.
    pub fn num_tokens(&self) -> usize {
        self.ids.len()
    }

    /// Positions that are asked about, those whose prompts are continued included.
    pub fn num_rows(&self) -> usize {
        let rows = |node: u32| match self.node(node).rows().len() {
            0 => usize::from(self.ending(node).iter().any(Sequence::is_prompt)),
            rows => rows,
        };
        (0..self.nodes.len() as u32).map(rows).sum()
    }

    /// A node's tokens.
    pub fn tokens(&self, node: u32) -> &[u32] {
        let node = self.node(node);
        &self.ids[node.start..node.start + node.len as usize]
    }

    /// A node's first token.
    pub fn first_token(&self, node: u32) -> u32 {
        self.ids[self.node(node).start]
    }

    /// Nodes without parents.
    pub fn roots(&self) -> impl Iterator<Item = u32> + '_ {
        self.siblings(0, self.nodes.len() as u32)
    }

    pub fn children(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        self.siblings(node + 1, self.node(node).end)
    }

    fn siblings(&self, first: u32, end: u32) -> impl Iterator<Item = u32> + '_ {
        let before_end = move |node: &u32| *node < end;
        successors(Some(first).filter(before_end), move |node| Some(self.node(*node).end).filter(before_end))
    }

    pub fn is_leaf(&self, node: u32) -> bool {
        self.node(node).end == node + 1
    }

    /// The sequences that end at a node's end.
    pub fn ending(&self, node: u32) -> &[Sequence] {
        let ending = &self.node(node).ending;
        &self.sequences[ending.start as usize..ending.end as usize]
    }

    /// A node and the nodes before it, up to a root.
    pub fn upwards(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        successors(Some(node), |node| self.node(*node).parent())
    }

    /// The tokens that are asked about after a node's last one, by number, each once.
    pub fn targets_at_end(&self, node: u32) -> Vec<u32> {
        let end = self.node(node).depth_end();
        let onward = self.children(node).filter(|child| self.node(*child).wanted < end);
        let ending = self.ending(node).iter().filter(|sequence| !sequence.is_prompt());
        let mut targets: Vec<u32> =
            onward.map(|child| self.first_token(child)).chain(ending.map(|sequence| sequence.last)).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(sequences: &[(&[u32], usize)]) -> Tree {
        let mut builder = TreeBuilder::default();
        for (ask, (ids, targets)) in sequences.iter().enumerate() {
            match targets {
                0 => builder.add_prompt(ask as u32, 0, ids.iter().copied()),
                _ => {
                    let (last, input) = ids.split_last().unwrap();
                    builder.add_scored(ask as u32, 0, input.iter().copied(), *targets, *last);
                }
            }
        }
        builder.build()
    }

    fn shape(tree: &Tree) -> Vec<(Option<u32>, &[u32], Range<u32>)> {
        let nodes = (0..tree.nodes.len() as u32).map(|n| (tree.node(n).parent(), tree.tokens(n), tree.node(n).rows()));
        nodes.collect()
    }

    #[test]
    fn common_beginnings_stand_once() {
        let tree = tree(&[
            (&[1, 2, 3, 4, 9], 2),
            (&[1, 2, 3, 5, 6, 8], 1),
            (&[1, 2, 9], 1),
            (&[1, 2, 8], 1),
            (&[7, 7], 0),
            (&[1, 2, 3, 5], 0),
        ]);
        let expected: [(_, &[u32], _); 6] = [
            (None, &[1, 2], 1..2),
            (Some(0), &[3], 2..3),
            (Some(1), &[4], 3..4),
            (Some(1), &[5], 4..4),
            (Some(3), &[6], 4..5),
            (None, &[7, 7], 2..2),
        ];
        assert_eq!(shape(&tree), expected);
        assert_eq!(tree.targets_at_end(0), [8, 9]);
        assert_eq!(tree.targets_at_end(1), [4], "nobody asks for 5");
        assert_eq!((tree.num_tokens(), tree.num_rows()), (8, 6));
        assert_eq!(tree.roots().collect::<Vec<_>>(), [0, 5]);
        assert_eq!(tree.children(1).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(tree.upwards(4).collect::<Vec<_>>(), [4, 3, 1, 0]);
        assert_eq!(tree.ending(0).iter().map(|s| s.ask).collect::<Vec<_>>(), [2, 3]);
        assert!(tree.ending(3)[0].is_prompt() && tree.is_leaf(4) && !tree.is_leaf(3));
    }

    #[test]
    fn classes_share_nothing_and_no_sequences_make_no_tree() {
        let mut builder = TreeBuilder::default();
        for class in [0, 3, 0] {
            builder.add_scored(0, class, [1, 2], 1, 5);
        }
        let tree = builder.build();
        assert_eq!((tree.num_tokens(), tree.roots().count()), (4, 2));
        assert_eq!(tree.nodes().iter().map(|n| n.class).collect::<Vec<_>>(), [0, 3]);
        assert_eq!(TreeBuilder::default().build().roots().count(), 0);
    }

    #[test]
    fn long_sequences_are_compared_by_blocks() {
        let a: Vec<u32> = (0..300).collect();
        for at in [0, 1, 63, 64, 65, 255, 256, 299] {
            let mut b = a.clone();
            b[at] += 1000;
            assert_eq!((common(&a, &b), compare(&a, &b)), (at, Ordering::Less));
            assert_eq!((common(&a, &a[..at]), compare(&a[..at], &a)), (at, Ordering::Less));
        }
        assert_eq!((common(&a, &a), compare(&a, &a)), (300, Ordering::Equal));
    }
}
