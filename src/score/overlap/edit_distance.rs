//! Edit distance near the diagonal, with the trace of its edits, as sacreBLEU's TER computes it.
//!
//! The beam makes it an upper bound of the true distance for texts of more than 25 words; TER is defined with it.

use crate::error::{Error, Result};

/// Half the width of the band that is looked at, in words.
const BEAM: usize = 25;
/// The cost of what lies outside of the band.
const INFINITE: u64 = 10_000_000_000_000_000;

/// One step of rewriting the hypothesis into the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    Keep,
    Substitute,
    /// A word of the reference that the hypothesis lacks.
    Insert,
    /// A word of the hypothesis that the reference lacks.
    Delete,
    /// Outside of the band.
    Unknown,
}

/// The distances of all beginnings of the reference from one beginning of the hypothesis, from `start` on.
struct Row {
    start: usize,
    cells: Vec<(u64, Edit)>,
}

impl Row {
    fn cost(&self, j: usize) -> u64 {
        j.checked_sub(self.start).and_then(|at| self.cells.get(at)).map_or(INFINITE, |(cost, _)| *cost)
    }

    fn edit(&self, j: usize) -> Edit {
        j.checked_sub(self.start).and_then(|at| self.cells.get(at)).map_or(Edit::Unknown, |(_, edit)| *edit)
    }
}

/// The distances of one hypothesis, as numbered words, from a reference.
pub struct Distances<'a> {
    reference: &'a [u32],
    words: Vec<u32>,
    /// One for each beginning of the hypothesis, the empty one first.
    rows: Vec<Row>,
    /// Words of the reference per word of the hypothesis: the slope of the diagonal.
    slope: f64,
    beam: usize,
}

impl<'a> Distances<'a> {
    pub fn new(words: Vec<u32>, reference: &'a [u32]) -> Self {
        let slope = if words.is_empty() { 1.0 } else { reference.len() as f64 / words.len() as f64 };
        // Bands of neighbouring rows must overlap, however long the reference.
        let beam = if (BEAM as f64) < slope / 2.0 { (slope / 2.0 + BEAM as f64).ceil() as usize } else { BEAM };
        let first = Row { start: 0, cells: (0..=reference.len() as u64).map(|j| (j, Edit::Insert)).collect() };
        let mut distances = Self { reference, words: Vec::new(), rows: vec![first], slope, beam };
        for (i, word) in words.iter().enumerate() {
            let row = distances.rows.last().map(|above| distances.row(i + 1, *word, above, words.len()));
            distances.rows.extend(row);
        }
        distances.words = words;
        distances
    }

    /// The words that were compared with the reference.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The distance of the hypothesis from the reference.
    pub fn distance(&self) -> u64 {
        self.rows.last().map_or(INFINITE, |row| row.cost(self.reference.len()))
    }

    /// The distance of another hypothesis of the same length; what it begins with in common is not computed again.
    pub fn distance_of(&self, words: &[u32]) -> u64 {
        let common = words.iter().zip(&self.words).take_while(|(a, b)| a == b).count();
        let mut last: Option<Row> = None;
        for (i, word) in words.iter().enumerate().skip(common) {
            let above = last.as_ref().or(self.rows.get(common));
            last = above.map(|above| self.row(i + 1, *word, above, words.len()));
        }
        last.as_ref().or(self.rows.get(common)).map_or(INFINITE, |row| row.cost(self.reference.len()))
    }

    /// The row of the hypothesis' first `i` words, the last of which is `word`; `len` is how many words it has in all.
    fn row(&self, i: usize, word: u32, above: &Row, len: usize) -> Row {
        let diagonal = (i as f64 * self.slope).floor() as usize;
        let start = diagonal.saturating_sub(self.beam);
        let all = self.reference.len() + 1;
        let end = if i == len { all } else { all.min(diagonal + self.beam) };
        let mut cells: Vec<(u64, Edit)> = Vec::with_capacity(end.saturating_sub(start));
        let mut left = INFINITE;
        let mut diagonal_cost = start.checked_sub(1).map_or(INFINITE, |j| above.cost(j));
        for j in start..end {
            let up = above.cost(j);
            let cell = match j.checked_sub(1).and_then(|before| self.reference.get(before)) {
                None => (up + 1, Edit::Delete),
                Some(same) => cheapest(diagonal_cost, *same == word, up, left),
            };
            cells.push(cell);
            (left, diagonal_cost) = (cell.0, up);
        }
        Row { start, cells }
    }

    /// The edits from start to end.
    pub fn trace(&self) -> Result<Vec<Edit>> {
        let (mut i, mut j) = (self.words.len(), self.reference.len());
        let mut edits = Vec::with_capacity(i.max(j));
        while i > 0 || j > 0 {
            let edit = self.rows.get(i).map_or(Edit::Unknown, |row| row.edit(j));
            let (down, right) = match edit {
                Edit::Keep | Edit::Substitute => (1, 1),
                Edit::Insert => (0, 1),
                Edit::Delete => (1, 0),
                Edit::Unknown => return Err(lost(self)),
            };
            match (i.checked_sub(down), j.checked_sub(right)) {
                (Some(above), Some(before)) => (i, j) = (above, before),
                _ => return Err(lost(self)),
            }
            edits.push(edit);
        }
        edits.reverse();
        Ok(edits)
    }
}

/// On equal cost: substitution before deletion before insertion.
fn cheapest(diagonal: u64, same: bool, up: u64, left: u64) -> (u64, Edit) {
    let mut best = (INFINITE, Edit::Unknown);
    let substitution = if same { (diagonal, Edit::Keep) } else { (diagonal + 1, Edit::Substitute) };
    for (cost, edit) in [substitution, (up + 1, Edit::Delete), (left + 1, Edit::Insert)] {
        if cost < best.0 {
            best = (cost, edit);
        }
    }
    best
}

fn lost(distances: &Distances<'_>) -> Error {
    let lengths = format!("{} words against a reference of {}", distances.words.len(), distances.reference.len());
    Error::input(format!("TER cannot align {lengths}: their lengths differ too much for its beam"))
}
