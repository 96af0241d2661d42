//! The local engine against the reference harness: every request of `../shared/parity`, as the reference asked it.

use fairmark::engine::{self, Cancel, EngineOptions};
use fairmark::request::{Answer, Decoding, Prompt, Request, RequestKind};
use serde_json::Value;
use std::io::Read;
use std::path::Path;

#[test]
fn answers_equal_the_reference() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    if !shared.join("parity").is_dir() {
        eprintln!("skipped: ../shared/parity is not there");
        return;
    }
    for model in ["stories260K", "tiny-gemma", "tiny-llama"] {
        let options = EngineOptions { dtype: fairmark::engine::local::DTypeChoice::F32, threads: 2, ..Default::default() };
        let engine = engine::open(shared.join("models").join(model).to_str().unwrap(), &options).unwrap();
        for entry in std::fs::read_dir(shared.join("parity").join(model)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "gz") {
                continue;
            }
            let mut text = String::new();
            flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
            let mut requests = Vec::new();
            let mut expected = Vec::new();
            for line in text.lines() {
                let sample: Value = serde_json::from_str(line).unwrap();
                for (args, resp) in sample["arguments"].as_array().unwrap().iter().zip(sample["resps"].as_array().unwrap()) {
                    let context = Prompt::Text(args[0].as_str().unwrap().to_string());
                    let kind = match &args[1] {
                        Value::String(c) => RequestKind::Loglikelihood { context, continuation: c.clone() },
                        g => {
                            let until = g["until"].as_array().unwrap().iter().map(|u| u.as_str().unwrap().into()).collect();
                            let decoding = Decoding { until, max_gen_toks: g["max_gen_toks"].as_u64().map(|n| n as usize), do_sample: false, temperature: 0.0, top_p: None, top_k: None, min_p: None, written: Default::default() };
                            RequestKind::Generate { context, decoding }
                        }
                    };
                    requests.push(Request { kind, sample: 0, seed: 0 });
                    expected.push(resp[0].clone());
                }
            }
            let mut bad = 0;
            let mut n = 0;
            let mut worst = 0f64;
            let t = std::time::Instant::now();
            engine.answer(&requests, &Cancel::default(), &mut |i, r| {
                n += 1;
                match (r.unwrap().answer, &expected[i]) {
                    (Answer::Loglikelihood { logprob, is_greedy, .. }, e) => {
                        let ll = e[0].as_f64().unwrap();
                        worst = worst.max((ll - logprob).abs());
                        if (ll - logprob).abs() > 1e-3 + 1e-4 * ll.abs() || e[1].as_bool().unwrap() != is_greedy { bad += 1; eprintln!("{i}: {logprob} {is_greedy} vs {e}"); }
                    }
                    (Answer::Text { text, .. }, e) => if e.as_str().unwrap() != text { bad += 1; eprintln!("{text:?}\n{e:?}"); },
                    _ => unreachable!(),
                }
                Ok(())
            }).unwrap();
            eprintln!("{}: {n} answers, {bad} bad, worst {worst:.2e}, {:.1?}", path.display(), t.elapsed());
            assert_eq!((n, bad), (requests.len(), 0));
        }
    }
}
