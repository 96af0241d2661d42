//! The parts that families of models share. Hidden states are `[tokens, width]` of one sequence; there is no batch axis.

mod attention;
mod block;
mod cache;
mod embedding;
mod mlp;
mod norm;
mod projection;
mod rotary;

pub use block::Stack;
pub use cache::KvCache;
pub use embedding::{Embedding, Head};
pub use norm::RmsNormKind;
