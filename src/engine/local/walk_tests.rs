//! Whole distributions at the positions of texts: each prefix once, with the bits that it has alone.

use super::LocalEngine;
use super::walk::{Sizes, Spot, Text, witness};
use crate::engine::{Cancel, EngineOptions};
use crate::error::ErrorKind;
use crate::request::{Prompt, Request, RequestKind};
use std::collections::HashSet;

fn demo() -> LocalEngine {
    LocalEngine::load("demo", &EngineOptions { offline: true, ..EngineOptions::default() }).unwrap()
}

fn text(tokens: &[u32], first: usize, last: u32, cluster: u32) -> Text {
    Text { tokens: tokens.to_vec(), first, last, cluster }
}

/// Spots with their rows, of one model or two.
fn visited(
    engine: &LocalEngine,
    other: Option<&LocalEngine>,
    texts: &[Text],
    sizes: Sizes,
) -> Vec<(Spot, Vec<Vec<f32>>)> {
    let mut found = Vec::new();
    let vocabulary = engine.vocabulary();
    let mut visit = |spots: &[Spot], rows: &[Vec<f32>]| {
        for (at, spot) in spots.iter().enumerate() {
            found.push((*spot, rows.iter().map(|rows| rows[at * vocabulary..][..vocabulary].to_vec()).collect()));
        }
        Ok(())
    };
    engine.walk_by(sizes, (other, texts), &Cancel::default(), &mut visit).unwrap();
    found
}

const WHOLE: Sizes = Sizes { pass: 512, logits: 1 << 20 };

#[test]
fn every_prefix_once_with_the_bits_that_it_has_alone() {
    let engine = demo();
    let long: Vec<u32> = (0..40).map(|i| (i * 37 + 5) % 1000).collect();
    let texts = [
        text(&[0, 5, 6, 7], 1, 8, 0),
        text(&[0, 5, 6, 9, 10], 2, 11, 0),
        text(&[0, 5, 6, 7], 3, 12, 1),
        text(&[0, 5], 0, 6, 2),
        text(&long, 0, 3, 3),
        text(&[0, 5, 6, 7, 8, 9], 5, 1, 4),
    ];
    let whole = visited(&engine, None, &texts, WHOLE);
    let mut expected = HashSet::new();
    for text in &texts {
        expected.extend((text.first..text.tokens.len()).map(|at| text.tokens[..=at].to_vec()));
    }
    let prefix = |spot: &Spot| texts[spot.text as usize].tokens[..=spot.position as usize].to_vec();
    let prefixes: HashSet<Vec<u32>> = whole.iter().map(|(spot, _)| prefix(spot)).collect();
    assert_eq!((prefixes.len(), &prefixes), (whole.len(), &expected), "each once");
    for (spot, rows) in &whole {
        let own = &texts[spot.text as usize];
        assert_eq!(spot.next, own.next(spot.position as usize));
        let asks = |text: &&Text| text.first <= spot.position as usize && text.tokens.starts_with(&prefix(spot));
        let first = texts.iter().position(|text| asks(&text)).unwrap();
        assert_eq!(first as u32, spot.text, "the first text that asks: {spot:?}");
        let alone = visited(
            &engine,
            None,
            &[Text { first: spot.position as usize, tokens: prefix(spot), ..own.clone() }],
            WHOLE,
        );
        assert!(alone[0].1 == *rows, "{spot:?}");
    }
    // The same bits in pieces, in both places of a pair.
    let both = |sizes| {
        let mut found = visited(&engine, Some(&engine), &texts, sizes);
        found.sort_by_key(|(spot, _)| (spot.text, spot.position));
        found
    };
    let mut ordered = whole.clone();
    ordered.sort_by_key(|(spot, _)| (spot.text, spot.position));
    for sizes in [Sizes { pass: 1, logits: 1 }, Sizes { pass: 7, logits: 3 * 1024 }, WHOLE] {
        for ((spot, rows), (same, row)) in both(sizes).iter().zip(&ordered) {
            assert_eq!(spot, same);
            assert!(rows[0] == row[0] && rows[1] == row[0], "{sizes:?} {spot:?}");
        }
    }
}

#[test]
fn requests_and_windows_as_texts() {
    let engine = demo();
    let kind = |context: &str, continuation: &str| RequestKind::Loglikelihood {
        context: Prompt::Text(context.into()),
        continuation: continuation.into(),
    };
    let request = |kind| Request { kind, sample: 0, seed: 0 };
    let requests = [
        request(kind("The mill grinds", " barley.")),
        request(kind("The mill grinds", "")),
        request(RequestKind::LoglikelihoodRolling { text: "The mill".into() }),
    ];
    let found = engine.scored_texts(&requests, &[4, 5, 6], &Cancel::default()).unwrap();
    assert_eq!(found.iter().map(|text| text.cluster).collect::<Vec<_>>(), [4, 6], "what cannot be scored is left out");
    let (tokens, bos) = engine.tokens_of("The mill grinds barley.").unwrap();
    let whole: Vec<u32> = bos.into_iter().chain(tokens).collect();
    assert_eq!([&found[0].tokens[..], &[found[0].last]].concat(), whole);
    assert_eq!(found[1].first, 0);
    let cancelled = Cancel::default();
    cancelled.cancel();
    assert_eq!(engine.scored_texts(&requests, &[0, 0, 0], &cancelled).unwrap_err().kind(), ErrorKind::Incomplete);

    let windows = engine.windows_of("The mill grinds barley in the spring and oats in the autumn.", 6).unwrap();
    let (tokens, bos) = engine.tokens_of("The mill grinds barley in the spring and oats in the autumn.").unwrap();
    let own = 6 - usize::from(bos.is_some());
    let again: Vec<u32> = windows
        .iter()
        .flat_map(|window| [&window.tokens[..], &[window.last]].concat().into_iter().skip(usize::from(bos.is_some())))
        .collect();
    assert!(tokens.len() > own && again == tokens);
    assert!(windows.iter().all(|window| window.first == 0 && window.tokens.len() <= 5));
    assert!(engine.windows_of("The mill", 1).is_err());
    // One token more or less, or another position, is another witness.
    let mut other = windows.clone();
    other[0].last ^= 1;
    assert_ne!(witness(&windows), witness(&other));
    assert_eq!(witness(&windows), witness(&windows.clone()));
}
