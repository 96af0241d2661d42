//! The control question: what a healthy server can answer, whatever it makes of a run's prompts.

use super::super::client::Client;
use super::super::transport::Control;
use super::super::wire::{Ask, Input, Sampling};
use super::Facts;
use super::examine::{CONTEXT, question, sampling};
use crate::request::Message;

/// How it is asked.
#[derive(Clone, Copy)]
enum Way {
    Text,
    Turns,
    Score,
}

impl Way {
    fn ask<'a>(self, turns: &'a [Message], sampling: &'a Sampling) -> Ask<'a> {
        match self {
            Way::Text => Ask::Generate(Input::Text(CONTEXT), sampling),
            Way::Turns => Ask::Generate(Input::Chat(turns), sampling),
            Way::Score => Ask::Score(Input::Text(CONTEXT)),
        }
    }
}

/// A question that the probe has seen answered.
pub fn control(client: &Client, facts: &Facts) -> Option<Control> {
    let way = match (&facts.generation, facts.texts, &facts.scoring) {
        (Ok(()), true, _) => Way::Text,
        (Ok(()), false, _) => Way::Turns,
        (Err(_), true, Ok(_)) => Way::Score,
        _ => return None,
    };
    let (turns, sampling, wire) = (question(), sampling(facts.thinks), client.wire);
    let call = client.call(&way.ask(&turns, &sampling))?;
    Some(Control { call, is_answer: Box::new(move |body| wire.reply(&way.ask(&turns, &sampling), body).is_ok()) })
}
