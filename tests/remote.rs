//! Servers through the real binary: a toy server on the loopback, faults, kills, keys, caches, protocols, budgets, fleets.

mod server;

#[path = "remote/cache.rs"]
mod cache;
#[path = "remote/card.rs"]
mod card;
#[path = "remote/faults.rs"]
mod faults;
#[path = "remote/keys.rs"]
mod keys;
#[path = "remote/kills.rs"]
mod kills;
#[path = "remote/limits.rs"]
mod limits;
#[path = "remote/place.rs"]
mod place;
#[path = "remote/protocols.rs"]
mod protocols;
#[path = "remote/quirks.rs"]
mod quirks;
#[path = "remote/quotas.rs"]
mod quotas;
#[path = "remote/unscored.rs"]
mod unscored;
