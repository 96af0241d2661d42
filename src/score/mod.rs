//! (wing under construction)
