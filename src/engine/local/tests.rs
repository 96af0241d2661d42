//! The engine as a whole, on small checkpoints.

use super::{DTypeChoice, LocalEngine, SystemFallback};
use crate::engine::{Cancel, Engine, EngineOptions, Outcome, Update};
use crate::error::Error;
use crate::kernel::Isa;
use crate::model::testing::{copy_model, shared_model};
use crate::request::{Answer, Decoding, Message, Prompt, Request, RequestKind, Role};
use std::path::Path;

fn options() -> EngineOptions {
    EngineOptions { offline: true, ..EngineOptions::default() }
}

fn open(dir: &Path, options: &EngineOptions) -> crate::error::Result<LocalEngine> {
    LocalEngine::load(&dir.display().to_string(), options)
}

fn load(name: &str, change: impl FnOnce(&mut EngineOptions)) -> Option<LocalEngine> {
    let mut options = options();
    change(&mut options);
    Some(open(&shared_model(name)?, &options).unwrap())
}

fn text(text: &str) -> Prompt {
    Prompt::Text(text.to_string())
}

fn score(context: &str, continuation: &str) -> Request {
    let kind = RequestKind::Loglikelihood { context: text(context), continuation: continuation.to_string() };
    Request { kind, sample: 0, seed: 0 }
}

fn rolling(text: &str) -> Request {
    Request { kind: RequestKind::LoglikelihoodRolling { text: text.to_string() }, sample: 0, seed: 0 }
}

fn decoding(until: &[&str], max_gen_toks: usize) -> Decoding {
    Decoding {
        until: until.iter().map(|s| s.to_string()).collect(),
        max_gen_toks: Some(max_gen_toks),
        do_sample: false,
        temperature: 0.0,
        top_p: None,
        top_k: None,
        min_p: None,
        written: Default::default(),
    }
}

fn generate(context: &str, decoding: Decoding) -> Request {
    Request { kind: RequestKind::Generate { context: text(context), decoding }, sample: 0, seed: 0 }
}

fn answers(engine: &LocalEngine, requests: &[Request]) -> Vec<Outcome> {
    let mut answers = vec![None; requests.len()];
    let mut sink = |update| {
        if let Update::Answered(index, outcome, _) = update {
            assert!(answers[index].replace(outcome).is_none(), "request {index} is answered twice");
        }
        Ok(())
    };
    engine.answer(requests, &Cancel::default(), &mut sink).unwrap();
    answers.into_iter().map(Option::unwrap).collect()
}

fn logprob(outcome: &Outcome) -> f64 {
    match outcome.as_ref().unwrap().answer {
        Answer::Loglikelihood { logprob, .. } | Answer::Rolling { logprob, .. } => logprob,
        Answer::Text { .. } | Answer::Choice { .. } => panic!("not a score"),
    }
}

fn written(outcome: &Outcome) -> &str {
    match &outcome.as_ref().unwrap().answer {
        Answer::Text { text, .. } => text,
        other => panic!("{other:?}"),
    }
}

const STORY: &str = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a \
                     big, red ball. She wanted to play with it, but it was too high.";

// Expected values: HFLM of lm-eval 0.4.13 (float32, max_length as given) on the same requests.
#[test]
fn windows_are_cut_as_the_reference_cuts_them() {
    let requests = [
        rolling(STORY),
        rolling("Hi"),
        score(STORY, " She was sad."),
        score("", " there was"),
        generate(STORY, decoding(&["."], 20)),
    ];
    let short = "\nThen, a little bird came to the bird";
    let long = "\nLily's mom said, \"Lily, let's go to the";
    for (max_length, expected, generated, cut) in [
        (32, [-38.4272, -18.122_055, -7.473_758_7, -15.793_614], short, [0, 0, 34, 0, 50]),
        (512, [-32.407_547, -18.122_055, -7.788_805, -15.793_614], long, [0, 0, 0, 0, 0]),
    ] {
        let Some(engine) = load("stories260K", |o| o.max_length = Some(max_length)) else { return };
        let answers = answers(&engine, &requests);
        for (answer, expected) in answers.iter().zip(expected) {
            assert!((logprob(answer) - expected).abs() < 1e-3, "{max_length}: {} is not {expected}", logprob(answer));
        }
        assert_eq!(written(&answers[4]), generated);
        for ((answer, request), cut) in answers.iter().zip(&requests).zip(cut) {
            assert_eq!(answer.as_ref().unwrap().usage.truncated_tokens, cut);
            assert_eq!(engine.inspect(request).unwrap().truncated_tokens, cut);
        }
    }
}

// Expected values: the same in bfloat16 with softmax_dtype float32. One unit in the last place of a logit is 0.06 here.
#[test]
fn bf16_is_near_the_reference_in_bf16() {
    let expected = [("tiny-gemma", [-55.300_27, -17.484_245]), ("stories260K", [-7.831_799, -15.765_836])];
    for (model, expected) in expected {
        let Some(engine) = load(model, |o| o.dtype = DTypeChoice::Bf16) else { return };
        assert_eq!(engine.identity().dtype.as_deref(), Some("bfloat16"));
        let answers = answers(&engine, &[score(STORY, " She was sad."), score("", " there was")]);
        for (answer, expected) in answers.iter().zip(expected) {
            assert!((logprob(answer) - expected).abs() < 0.3, "{model}: {} is not {expected}", logprob(answer));
        }
    }
}

#[test]
fn labels_are_scored_as_ordinary_continuations() {
    let Some(engine) = load("stories260K", |_| {}) else { return };
    let kind = RequestKind::Choose { context: text("Question: which?\nAnswer:"), labels: vec!["A".into(), "B".into()] };
    let way = |way: &str| score("Question: which?\nAnswer:", way);
    let requests = [Request { kind, sample: 0, seed: 0 }, way("A"), way(" A"), way("B"), way(" B")];
    let answers = answers(&engine, &requests);
    let Answer::Choice { logprobs } = &answers[0].as_ref().unwrap().answer else { panic!("a choice") };
    for (found, ways) in logprobs.iter().zip([1, 3]) {
        let sum = logprob(&answers[ways]).exp() + logprob(&answers[ways + 1]).exp();
        assert!((found.unwrap() - sum.ln()).abs() < 1e-9, "{logprobs:?}");
    }
}

fn mixed_requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for (i, context) in [STORY, "The cat", "Lily was very", "One day,\n"].iter().enumerate() {
        for continuation in [" A", " B", " happy and sad", " was a little girl named Lily"] {
            requests.push(score(context, continuation));
        }
        requests.push(rolling(context));
        requests.push(generate(context, decoding(&["\n"], 12)));
        let sampled = Decoding { do_sample: true, temperature: 1.0, top_p: Some(0.9), ..decoding(&[], 12) };
        for sample in 0..2 {
            requests.push(Request { sample, seed: i as u64, ..generate(context, sampled.clone()) });
        }
    }
    requests
}

#[test]
fn answers_are_the_same_bits_in_any_company_order_and_number_of_threads() {
    let requests = mixed_requests();
    let Some(engine) = load("stories260K", |o| o.threads = 1) else { return };
    let expected = answers(&engine, &requests);
    for threads in [2, 5] {
        let Some(engine) = load("stories260K", |o| o.threads = threads) else { return };
        assert_eq!(answers(&engine, &requests), expected, "{threads} threads");
    }
    let reversed: Vec<Request> = requests.iter().rev().cloned().collect();
    assert_eq!(answers(&engine, &reversed).into_iter().rev().collect::<Vec<_>>(), expected);
    for (request, expected) in requests.iter().zip(&expected) {
        assert_eq!(&answers(&engine, std::slice::from_ref(request))[0], expected, "alone");
    }
    let texts: Vec<&str> = [6, 7].map(|i| written(&expected[i])).into();
    assert_ne!(texts[0], texts[1], "two samples of one prompt");
}

#[test]
fn what_cannot_be_answered_says_why() {
    let Some(engine) = load("stories260K", |o| o.max_length = Some(8)) else { return };
    let requests = [
        score("Once", " upon a time, there was a little girl named Lily"),
        score("Once", ""),
        generate("Once", decoding(&[], 8)),
        score("Once", " upon"),
    ];
    let answers = answers(&engine, &requests);
    let reason = |i: usize| answers[i].as_ref().unwrap_err().reason.clone();
    assert!(reason(0).contains("the window of 8"), "{}", reason(0));
    assert!(reason(1).contains("no token"), "{}", reason(1));
    assert!(reason(2).contains("no room"), "{}", reason(2));
    assert!(answers[3].is_ok());
}

#[test]
fn weights_that_overflow_give_no_scores() {
    let Some(model) = copy_model("stories260K") else { return };
    let path = model.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let n = bytes.len();
    // 3.4e38 each
    bytes[n - 4000..].fill(0x7f);
    std::fs::write(&path, bytes).unwrap();
    let engine = open(model.path(), &options()).unwrap();
    for outcome in answers(&engine, &[score("Once", " upon"), rolling("Once"), generate("Once", decoding(&[], 4))]) {
        assert!(outcome.as_ref().unwrap_err().reason.contains("the model gave NaN"), "{outcome:?}");
    }
}

#[test]
fn cancelling_leaves_the_rest_unanswered_and_a_full_disk_ends_it() {
    let Some(engine) = load("stories260K", |_| {}) else { return };
    let requests: Vec<Request> = (0..400).map(|i| score(&format!("{i} cats"), " sat")).collect();
    let cancel = Cancel::default();
    let mut answered = 0;
    let mut sink = |update| {
        if let Update::Answered(..) = update {
            answered += 1;
            cancel.cancel();
        }
        Ok(())
    };
    engine.answer(&requests, &cancel, &mut sink).unwrap();
    assert!((1..400).contains(&answered), "{answered}");
    let mut full = |update| match update {
        Update::Answered(..) => Err(Error::input("the disk is full")),
        _ => Ok(()),
    };
    let err = engine.answer(&requests, &Cancel::default(), &mut full).unwrap_err();
    assert_eq!(err.message(), "the disk is full");
}

fn turn(role: Role, content: &str) -> Message {
    Message { role, content: content.to_string() }
}

#[test]
fn conversations_go_through_the_template() {
    let chat = Prompt::Chat(vec![turn(Role::System, "Be brief."), turn(Role::User, "Hi")]);
    let request = Request {
        kind: RequestKind::Loglikelihood { context: chat.clone(), continuation: "Hello".to_string() },
        sample: 0,
        seed: 0,
    };
    let Some(engine) = load("tiny-gemma", |o| o.chat = true) else { return };
    let inspection = engine.inspect(&request).unwrap();
    assert!(inspection.rendered.contains("user\nBe brief.\n\nHi<end_of_turn>"), "{}", inspection.rendered);
    assert_eq!(inspection.bos_count, 1, "the template's own BOS only");
    assert_eq!(engine.notices().len(), 1);
    let isa = format!("isa={}", Isa::best().name());
    assert_eq!(engine.identity().options, [isa.as_str(), "system_fallback=fold"]);
    let folded = answers(&engine, std::slice::from_ref(&request));
    let Some(engine) = load("tiny-gemma", |o| (o.chat, o.system_fallback) = (true, SystemFallback::Drop)) else {
        return;
    };
    assert!(!engine.render(&chat).unwrap().contains("Be brief."));
    assert_ne!(logprob(&answers(&engine, std::slice::from_ref(&request))[0]), logprob(&folded[0]));
    let Some(engine) = load("tiny-gemma", |_| {}) else { return };
    assert!(answers(&engine, &[request])[0].as_ref().unwrap_err().reason.contains("chat template"));
}

#[test]
fn a_model_says_who_it_is() {
    let Some(engine) = load("stories260K", |_| {}) else { return };
    let identity = engine.identity();
    assert_eq!((identity.engine.as_str(), identity.label.as_str()), ("local", "stories260K"));
    assert_eq!(identity.num_parameters, Some(260_032), "as the model's README says");
    assert_eq!((identity.max_length, identity.eot_token_id), (Some(512), Some(2)));
    assert_eq!((identity.bos_token.as_deref(), identity.eos_token.as_deref()), (Some("<s>"), Some("</s>")));
    assert_eq!(identity.dtype.as_deref(), Some("float32"));
    // 260,032 numbers of 4 bytes.
    assert_eq!((identity.storage.as_deref(), identity.model_bytes), (Some("float32"), Some(1_040_128)));
    assert_eq!(identity.sha.as_ref().unwrap().len(), 64);
    assert_eq!(engine.notices(), [""; 0]);
    let Some(engine) = load("stories260K", |o| (o.add_bos, o.dtype) = (Some(false), DTypeChoice::F16)) else { return };
    // Two bytes each, once they are rounded.
    assert_eq!(engine.identity().model_bytes, Some(520_064));
    let isa = format!("isa={}", Isa::best().name());
    assert_eq!(engine.identity().options, ["arithmetic=float32", "add_bos_token=false", isa.as_str()]);
    assert!(engine.notices()[0].contains("float16"));
    let Some(engine) = load("tiny-llama-bnb-nf4", |_| {}) else { return };
    assert_eq!(engine.identity().storage.as_deref(), Some("nf4"));
}

#[test]
fn bad_checkpoints_are_refused_before_and_while_loading() {
    let spoil = |name: &str, contents: Option<&[u8]>, says: &[&str]| {
        let Some(model) = copy_model("tiny-gemma") else { return };
        let path = model.path().join(name);
        match contents {
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        let options = EngineOptions { chat: true, ..options() };
        let name = model.path().display().to_string();
        for err in [LocalEngine::check(&name, &options).err(), LocalEngine::load(&name, &options).err()] {
            let err = err.unwrap_or_else(|| panic!("{name} should be refused")).to_string();
            says.iter().for_each(|part| assert!(err.contains(part), "`{part}` is not in {err}"));
        }
    };
    spoil("config.json", None, &["config.json", "hint:"]);
    spoil("config.json", Some(b"{\"architectures\": ["), &["config.json:1"]);
    spoil("config.json", Some(b"\xff\xfe\x00"), &["config.json", "UTF-8"]);
    spoil("config.json", Some(b"{\"architectures\": [\"DodoForCausalLM\"]}"), &["Dodo", "hint:"]);
    spoil("tokenizer.json", None, &["tokenizer.json", "hint:"]);
    spoil("tokenizer_config.json", Some(b"[1]"), &["tokenizer_config.json"]);
    spoil("model.safetensors", None, &["has no weights", "hint:"]);
    spoil("model.safetensors", Some(&[7; 100]), &["model.safetensors", "hint:"]);
    spoil("chat_template.jinja", None, &["no chat template", "hint:"]);
    assert!(LocalEngine::check("/no/such/folder", &options()).unwrap_err().to_string().contains("no such folder"));
}
