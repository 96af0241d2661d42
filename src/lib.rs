//! fairmark: a benchmark and safety evaluation harness for language models.
//!
//! A task meets documents and becomes requests; an engine answers them; samples make estimates; all of it is a run on
//! disk. `DESIGN.md` has the picture; every folder here is one of its wings and says what it never does.

// What is said and printed goes through `cli/talk.rs`.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod catalog;
pub mod caught;
pub mod cli;
pub mod compare;
pub mod data;
pub mod doc;
pub mod embedded;
pub mod engine;
pub mod error;
pub mod estimate;
pub mod fidelity;
pub mod file;
pub mod hub;
pub mod item;
pub mod judge;
pub mod judgement;
pub mod kernel;
pub mod label;
pub mod maths;
pub mod model;
pub mod pattern;
pub mod price;
pub mod prompt;
pub mod python;
pub mod read;
pub mod record;
pub mod remark;
pub mod report;
pub mod request;
pub mod run;
pub mod runner;
pub mod sample;
pub mod sandbox;
pub mod score;
pub mod stats;
pub mod task;
pub mod template;
mod tls;
pub mod toxicity;
pub mod usage;
pub mod visible;
pub mod yaml;
