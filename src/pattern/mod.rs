//! Patterns over names and over paths of files: plain, bounded in time whatever the pattern. The ground floor.

mod name;
mod path;

pub use name::{is_name_pattern, matches_name};
pub use path::{PathPattern, is_path_pattern};
