//! The launcher of this crate (Linux): warmed interpreters that fork one contained child at a time.
//!
//! Comes in: settings, drivers, limits. Goes out: cells, and which layers are in force. Never: falls back silently.

mod cgroup;
mod control;
mod filter;
mod mirror;
mod pool;
mod rules;
mod setup;
mod user;
mod zygote;

pub(super) use pool::Pool;
