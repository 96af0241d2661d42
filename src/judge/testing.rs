//! A judge that finds what it is told, for the tests of what stands around judges.
use super::*;
use crate::judgement::Judgement;
use serde_json::Map;
use std::cell::Cell;
use std::rc::Rc;

/// Finds a case's answer to be as long as it is, except those that name a failure; stops the run after some findings.
pub struct Lengths {
    pub identity: JudgeIdentity,
    /// Cases that it was asked, over all calls.
    pub asked: Rc<Cell<usize>>,
    /// Cancels after so many findings of a call.
    pub stop: Option<usize>,
}

impl Lengths {
    pub fn new(name: &str) -> Lengths {
        let (judge, name) = ("code".to_owned(), name.to_owned());
        let identity = JudgeIdentity { judge, name, sha256: None, options: Vec::new() };
        Lengths { identity, asked: Rc::default(), stop: None }
    }
}

impl Judge for Lengths {
    fn identity(&self) -> &JudgeIdentity {
        &self.identity
    }

    fn judge(&self, cases: &[Case], cancel: &Cancel, sink: &mut FindingSink<'_>) -> Result<()> {
        self.asked.set(self.asked.get() + cases.len());
        for (index, case) in cases.iter().enumerate().rev() {
            if self.stop == Some(cases.len() - 1 - index) {
                cancel.cancel();
            }
            if cancel.is_cancelled() {
                break;
            }
            let value = case.answer.len() as f64;
            sink(
                index,
                match case.answer.contains("failure") {
                    true => Err(crate::request::Unscored::new("the scorer is away")),
                    false => Ok(Judgement { value, detail: Map::new() }),
                },
            )?;
        }
        Ok(())
    }
}

/// The row of such a judge: its values are lengths.
static ROW: JudgeRow = JudgeRow {
    name: "code",
    args: &[],
    required: &[],
    range: (0.0, 1000.0),
    chosen: true,
    doc: "finds what it is told",
    check: any,
    open: code::open,
};

impl Judges {
    /// The judge `code` is this one.
    pub fn code(found: Result<Box<dyn Judge>>) -> Judges {
        Judges(vec![(&ROW, found)])
    }
}
