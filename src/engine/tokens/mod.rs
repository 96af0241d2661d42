//! Rules for tokens that all engines with a tokenizer share: how prompts and continuations are split, what a window holds, where texts
//! end, how turns become text.

mod chat;
mod encode;
mod stops;
mod windows;

pub use chat::{Chat, Rendered, SystemFallback, template_source};
pub use encode::{Context, Encoder, Pair};
pub use stops::{DEFAULT_MAX_GEN_TOKS, contains_stop, cut_at_stops};
pub use windows::{fit_pair, fit_prompt, rolling_windows};
