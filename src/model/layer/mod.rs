//! Parts that families of models share. Each works on packed rows in memory (our kernels) and on a device (candle's).

mod attention;
mod block;
mod embedding;
mod experts;
mod head;
mod mlp;
mod norm;
mod pass;
mod projection;

pub use attention::{Attention, AttentionShape, QkNorm};
pub use block::{Block, Stream};
pub use embedding::Embedding;
pub use experts::Experts;
pub use head::Head;
pub use mlp::Mlp;
pub use norm::Norm;
pub use pass::{Branch, Kv, Pass};
pub use projection::{Part, Projection};
