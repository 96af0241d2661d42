//! The journal: one JSON line for every prompt, answer, judgement and score, appended as it exists.
//!
//! A line counts only when it is whole: a torn last line is cut off when the journal is opened again, a damaged one in the
//! middle is ignored, and its request is asked again. A journal may come from elsewhere: lines have a greatest length, what is kept has
//! one, too, and whether an answer fits its request is looked at by who asks (`execute.rs`, `judging.rs`).

use crate::engine::{Delivery, Outcome};
use crate::error::{Error, Result};
use crate::file;
use crate::judgement::Judgement;
use crate::request::{Prompt, Request, RequestKind, Response, Unscored};
use crate::sample::{Sample, Score};
use crate::usage::Totals;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of a line; a longer one is damaged, and no more of it is read into memory.
const LONGEST_LINE: usize = 32 << 20;

/// Bytes of all lines whose content is kept in memory.
const MOST_KEPT: u64 = 2 << 30;

/// Where an answer belongs: the first item that asked for it.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub task: &'a str,
    pub doc_id: usize,
    pub request: usize,
}

/// Borrows what is written, owns what was read.
#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line<'a> {
    /// A context, once; answers name it by `id`.
    Prompt {
        id: Cow<'a, str>,
        prompt: Cow<'a, Prompt>,
    },
    Answer {
        key: Cow<'a, str>,
        task: Cow<'a, str>,
        doc_id: usize,
        request: usize,
        sample: u32,
        /// What was asked, with the context replaced by its `id`.
        asked: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response: Option<Cow<'a, Response>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unscored: Option<Cow<'a, str>>,
        /// The model or its provider refused: final.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
        #[serde(default, skip_serializing_if = "is_plain")]
        delivery: Delivery,
    },
    /// What a judge found about a case.
    Judgement {
        key: Cow<'a, str>,
        judge: Cow<'a, str>,
        task: Cow<'a, str>,
        doc_id: usize,
        judgement: Cow<'a, Judgement>,
    },
    Score {
        task: Cow<'a, str>,
        doc_id: usize,
        filter: Cow<'a, str>,
        scores: Map<String, Value>,
    },
}

/// Nothing was sent: the engine runs in this process.
fn is_plain(delivery: &Delivery) -> bool {
    *delivery == Delivery::default()
}

/// What a journal held when it was opened.
#[derive(Default)]
pub struct Recorded {
    /// Answers and refusals by request key.
    pub answers: HashMap<String, Outcome>,
    /// Judgements by case key.
    pub judgements: HashMap<String, Judgement>,
    /// What they took.
    pub totals: Totals,
    /// Lines that could not be read and were ignored.
    pub damaged: usize,
}

impl Recorded {
    /// Takes an answer line; of several about one request the last counts, but no failure undoes an answer.
    fn take(&mut self, key: String, outcome: Outcome, delivery: &Delivery) {
        self.totals.add(&outcome, delivery);
        match &outcome {
            Err(unscored) if !unscored.refused => {
                // Asked again, also when it had been refused before.
                if self.answers.get(&key).is_some_and(Result::is_err) {
                    self.answers.remove(&key);
                }
            }
            _ => {
                self.answers.insert(key, outcome);
            }
        }
    }
}

/// What was read of a journal so far.
#[derive(Default)]
struct Reading {
    prompts: HashSet<String>,
    scored: HashSet<(String, usize, String)>,
    recorded: Recorded,
    /// Bytes of whole lines.
    whole: u64,
    /// Bytes of lines whose content is kept.
    kept: u64,
}

impl Reading {
    /// Takes a line without its end.
    fn take(&mut self, text: &[u8]) {
        self.kept += 64;
        match serde_json::from_slice(text) {
            _ if text.is_empty() => {}
            Ok(Line::Prompt { id, .. }) => {
                self.prompts.insert(id.into_owned());
            }
            Ok(Line::Answer { response, .. }) if response.as_ref().is_some_and(|r| !r.usage.is_possible()) => {
                self.recorded.damaged += 1;
            }
            Ok(Line::Answer { key, response, unscored, refused, delivery, .. }) => {
                let reason = || unscored.map(Cow::into_owned).unwrap_or_default();
                let outcome = response.map(Cow::into_owned).ok_or_else(|| Unscored { reason: reason(), refused });
                self.recorded.take(key.into_owned(), outcome, &delivery);
                self.kept += text.len() as u64;
            }
            Ok(Line::Judgement { key, judgement, .. }) => {
                self.recorded.judgements.insert(key.into_owned(), judgement.into_owned());
                self.kept += text.len() as u64;
            }
            Ok(Line::Score { task, doc_id, filter, .. }) => {
                self.kept += (task.len() + filter.len()) as u64;
                self.scored.insert((task.into_owned(), doc_id, filter.into_owned()));
            }
            Err(_) => self.recorded.damaged += 1,
        }
    }
}

/// A line as it was read.
struct ReadLine {
    /// Its end included.
    bytes: u64,
    ends: bool,
    too_long: bool,
}

/// Reads the next line into `line`, without its end; of one that is too long only its length is found out. `None`: there is no more.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<ReadLine>> {
    line.clear();
    let mut read = ReadLine { bytes: 0, ends: false, too_long: false };
    while !read.ends {
        let buffer = match reader.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            break;
        }
        // `contains` is a search in words; the place is only looked for where there is one.
        let end = buffer.contains(&b'\n').then(|| buffer.iter().position(|byte| *byte == b'\n')).flatten();
        let part = &buffer[..end.unwrap_or(buffer.len())];
        read.too_long |= line.len() + part.len() > LONGEST_LINE;
        if !read.too_long {
            line.extend_from_slice(part);
        }
        read.ends = end.is_some();
        let taken = part.len() + usize::from(read.ends);
        read.bytes += taken as u64;
        reader.consume(taken);
    }
    Ok((read.bytes > 0).then_some(read))
}

/// An open journal.
pub struct Journal {
    path: PathBuf,
    file: File,
    prompts: HashSet<String>,
    scored: HashSet<(String, usize, String)>,
}

impl Journal {
    /// Opens or creates the journal at `path` and reads what it holds.
    ///
    /// Errors: there is a link or no plain file of that name; more than can be kept in memory.
    pub fn open(path: &Path) -> Result<(Journal, Recorded)> {
        let odd = |e| Error::io("cannot open the journal", path, e).hint(super::folder::ODD);
        let mut file = file::open_own(path).map_err(odd)?;
        let fail = |e| Error::io("cannot read the journal", path, e);
        let mut reading = Reading::default();
        let mut reader = BufReader::with_capacity(1 << 16, &file);
        let mut line = Vec::new();
        while let Some(read) = read_line(&mut reader, &mut line).map_err(fail)? {
            // What has no end was torn off by a kill.
            if !read.ends {
                break;
            }
            reading.whole += read.bytes;
            match read.too_long {
                true => reading.recorded.damaged += 1,
                false => reading.take(&line),
            }
            if reading.kept > MOST_KEPT {
                return Err(Error::input(format!("this journal holds more than {MOST_KEPT} bytes of answers"))
                    .file(path)
                    .hint(super::folder::ANEW));
            }
        }
        drop(reader);
        let Reading { prompts, scored, mut recorded, whole, .. } = reading;
        file.set_len(whole).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        recorded.totals.begin_session();
        Ok((Journal { path: path.to_path_buf(), file, prompts, scored }, recorded))
    }

    /// Appends an answer (and its prompt, the first time).
    pub fn answer(
        &mut self,
        key: &str,
        asker: Asker<'_>,
        request: &Request,
        (outcome, delivery): (&Outcome, Delivery),
    ) -> Result<()> {
        let asked = match &request.kind {
            RequestKind::Loglikelihood { context, continuation } => {
                let id = self.prompt(context)?;
                json!({"loglikelihood": {"context": id, "continuation": continuation}})
            }
            RequestKind::LoglikelihoodRolling { text } => {
                let id = self.prompt(&Prompt::Text(text.clone()))?;
                json!({"loglikelihood_rolling": {"text": id}})
            }
            RequestKind::Generate { context, decoding } => {
                let id = self.prompt(context)?;
                json!({"generate": {"context": id, "decoding": decoding}})
            }
            RequestKind::Choose { context, labels } => {
                let id = self.prompt(context)?;
                json!({"choose": {"context": id, "labels": labels}})
            }
        };
        self.append(&Line::Answer {
            key: key.into(),
            task: asker.task.into(),
            doc_id: asker.doc_id,
            request: asker.request,
            sample: request.sample,
            asked,
            response: outcome.as_ref().ok().map(Cow::Borrowed),
            unscored: outcome.as_ref().err().map(|u| u.reason.as_str().into()),
            refused: outcome.as_ref().err().is_some_and(|u| u.refused),
            delivery,
        })
    }

    /// Appends what a judge found. `asker`: task and document of the first answer that it is about.
    pub fn judgement(&mut self, key: &str, judge: &str, asker: (&str, usize), judgement: &Judgement) -> Result<()> {
        self.append(&Line::Judgement {
            key: key.into(),
            judge: judge.into(),
            task: asker.0.into(),
            doc_id: asker.1,
            judgement: Cow::Borrowed(judgement),
        })
    }

    /// Appends the scores of a document, unless they stand there already.
    pub fn scores(&mut self, task: &str, sample: &Sample) -> Result<()> {
        if sample.scores.iter().any(|(_, s)| matches!(s, Score::Unscored(_)))
            || !self.scored.insert((task.to_string(), sample.doc_id, sample.filter.clone()))
        {
            return Ok(());
        }
        let scores = sample.scores.iter().map(|(name, score)| (name.clone(), score.to_json())).collect();
        self.append(&Line::Score {
            task: task.into(),
            doc_id: sample.doc_id,
            filter: sample.filter.as_str().into(),
            scores,
        })
    }

    fn prompt(&mut self, prompt: &Prompt) -> Result<String> {
        let text = serde_json::to_string(prompt).unwrap_or_default();
        let id = crate::python::json::sha256(&text).get(..16).unwrap_or_default().to_string();
        if self.prompts.insert(id.clone()) {
            self.append(&Line::Prompt { id: id.as_str().into(), prompt: Cow::Borrowed(prompt) })?;
        }
        Ok(id)
    }

    /// One write call for the whole line, so that a kill leaves at most one torn line, at the end.
    fn append(&mut self, line: &Line<'_>) -> Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(|e| Error::input("cannot encode a journal line").cause(e))?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).map_err(|e| {
            let remedy = file::remedy(&e);
            Error::io("cannot write the journal", &self.path, e)
                .hint(format!("what was answered so far is kept; {remedy} and run the same command again"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Answer;

    fn request(text: &str) -> Request {
        let kind = RequestKind::Loglikelihood { context: Prompt::Text("ctx".into()), continuation: text.into() };
        Request { kind, sample: 0, seed: 0 }
    }

    fn response(logprob: f64) -> Response {
        let answer = Answer::Loglikelihood { logprob, is_greedy: false, num_tokens: 1 };
        Response::new(answer, Default::default())
    }

    const ASKER: Asker<'static> = Asker { task: "t", doc_id: 0, request: 0 };

    #[test]
    fn keeps_whole_lines_and_cuts_a_torn_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let (mut journal, recorded) = Journal::open(&path).unwrap();
        assert!(recorded.answers.is_empty());
        let value = -0.1_f64 - 1e-17;
        let sent = Delivery { latency_ms: Some(7), retries: 1, cached: false };
        journal.answer("k1", ASKER, &request("a"), (&Ok(response(value)), sent)).unwrap();
        journal.answer("k2", ASKER, &request("b"), (&Err(Unscored::new("no")), Delivery::default())).unwrap();
        journal.answer("k4", ASKER, &request("c"), (&Err(Unscored::refused("never")), Delivery::default())).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 4, "the shared context is written once:\n{text}");
        std::fs::write(&path, format!("not json\n{text}{{\"line\":\"answer\",\"key\":\"k3\"")).unwrap();
        let (journal, recorded) = Journal::open(&path).unwrap();
        assert_eq!(recorded.damaged, 1);
        assert_eq!(recorded.answers.len(), 2, "an unanswered request is asked again, a refused one is not");
        assert_eq!(recorded.answers["k1"], Ok(response(value)), "floats come back bit for bit");
        assert_eq!(recorded.answers["k4"], Err(Unscored::refused("never")));
        let report = recorded.totals.report(None);
        assert_eq!((report.answers, report.refused, report.failed, report.retries), (1, 1, 1, 1));
        drop(journal);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("not json\n{text}"));
    }

    /// A line of a journal from before answers told how they came, and one of today.
    #[test]
    fn old_lines_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let asked = r#""task":"t","doc_id":0,"request":0,"sample":0,"asked":{"loglikelihood":{"context":"i","continuation":"c"}}"#;
        let answer = r#"{"loglikelihood":{"logprob":-1.5,"is_greedy":true,"num_tokens":2}}"#;
        let usage = r#"{"prompt_tokens":3,"completion_tokens":2,"truncated_tokens":0}"#;
        let lines = [
            r#"{"line":"prompt","id":"i","prompt":{"text":"ctx"}}"#.to_string(),
            format!(r#"{{"line":"answer","key":"old",{asked},"response":{{"answer":{answer},"usage":{usage}}}}}"#),
            format!(r#"{{"line":"answer","key":"failed",{asked},"unscored":"timeout"}}"#),
            String::new(),
            format!(
                r#"{{"line":"answer","key":"new",{asked},"response":{{"answer":{answer}}},"delivery":{{"latency_ms":9,"retries":2,"cached":true}}}}"#
            ),
            r#"{"line":"score","task":"t","doc_id":0,"filter":"none","scores":{"acc":1.0}}"#.to_string(),
        ];
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let (mut journal, recorded) = Journal::open(&path).unwrap();
        assert_eq!((recorded.damaged, recorded.answers.len()), (0, 2));
        let response = recorded.answers["old"].clone().unwrap();
        let answer = Answer::Loglikelihood { logprob: -1.5, is_greedy: true, num_tokens: 2 };
        assert_eq!((response.answer, response.usage.prompt_tokens), (answer, 3));
        let report = recorded.totals.report(None);
        assert_eq!((report.answers, report.from_cache, report.failed, report.retries), (2, 1, 1, 2));
        // What stands there is not written again.
        let sample = Sample { doc_id: 0, filter: "none".into(), filtered: vec![], findings: vec![], scores: vec![] };
        journal.scores("t", &sample).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), lines.len());
    }

    #[test]
    fn the_last_word_about_a_request_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let (mut journal, _) = Journal::open(&path).unwrap();
        let refused = || Err(Unscored::refused("no"));
        let failed = || Err(Unscored::new("timeout"));
        let told: [(&str, &[Outcome]); 4] = [
            ("answered at last", &[refused(), failed(), Ok(response(-1.0))]),
            ("retried in vain", &[refused(), failed()]),
            ("refused at last", &[failed(), refused()]),
            ("answered", &[Ok(response(-2.0)), failed()]),
        ];
        for (key, outcomes) in &told {
            for outcome in *outcomes {
                journal.answer(key, ASKER, &request(key), (outcome, Delivery::default())).unwrap();
            }
        }
        let (_, recorded) = Journal::open(&path).unwrap();
        assert_eq!(recorded.answers.get("answered at last"), Some(&Ok(response(-1.0))));
        assert_eq!(recorded.answers.get("retried in vain"), None, "asked again");
        assert_eq!(recorded.answers.get("refused at last"), Some(&refused()));
        assert_eq!(recorded.answers.get("answered"), Some(&Ok(response(-2.0))));
    }

    #[test]
    fn rewritten_lines_are_damaged_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let line = |response: &str| {
            format!(
                r#"{{"line":"answer","key":"k","task":"t","doc_id":0,"request":0,"sample":0,"asked":null,"response":{response}}}"#
            )
        };
        let answer = |logprob: &str, more: &str| {
            line(&format!(
                r#"{{"answer":{{"loglikelihood":{{"logprob":{logprob},"is_greedy":true,"num_tokens":2}}}}{more}}}"#
            ))
        };
        let usage = r#","usage":{"prompt_tokens":18446744073709551615,"completion_tokens":1,"truncated_tokens":0}"#;
        let mut lines = vec![
            answer("NaN", ""),
            answer("null", ""),
            answer("1e999", ""),
            answer("-1", usage),
            answer("-1", r#","answer":{"text":{"text":"x","finish":"stop"}}"#),
            line(&"[".repeat(100_000)),
            "x".repeat(LONGEST_LINE + 1),
            "\u{0}".repeat(100),
        ];
        let damaged = lines.len();
        lines.push(answer("-1", ""));
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let (journal, recorded) = Journal::open(&path).unwrap();
        assert_eq!((recorded.damaged, recorded.answers.len()), (damaged, 1));
        assert_eq!(recorded.totals.report(None).answers, 1);
        drop(journal);
        // A torn line of any length is cut off.
        std::fs::write(&path, format!("{}\n{}", answer("-1", ""), "x".repeat(LONGEST_LINE + 1))).unwrap();
        let (_, recorded) = Journal::open(&path).unwrap();
        assert_eq!((recorded.damaged, recorded.answers.len()), (0, 1));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), answer("-1", "") + "\n");
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_no_journal() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, path) = (dir.path().join("victim"), dir.path().join("journal.jsonl"));
        std::fs::write(&victim, "last line without an end").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        let error = Journal::open(&path).err().unwrap().to_string();
        assert!(error.contains("journal.jsonl") && error.contains("link"), "{error}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "last line without an end");
    }
}
