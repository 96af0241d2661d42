//! Reads the golden files of the text metrics, which `tests/fixtures/text/make.py` made with the reference packages.

use serde::de::DeserializeOwned;
use std::fs::File;
use std::path::Path;

/// Hypotheses with their references.
pub type Segments = Vec<(String, Vec<String>)>;

/// What sacreBLEU gives for segments that are scored together.
#[derive(serde::Deserialize)]
pub struct Translation {
    /// The first segment.
    start: usize,
    /// The one after the last.
    end: usize,
    /// By the settings `BLEU` in `make.py`.
    pub bleu: Vec<f64>,
    /// chrF and chrF++.
    pub chrf: Vec<f64>,
    /// TER, and where the text is not very long with case.
    pub ter: Vec<f64>,
}

/// All segments by themselves, then corpora.
pub fn translations() -> Vec<(Segments, Translation)> {
    let segments: Segments = read("pairs");
    let rows: Vec<Translation> = read("translation");
    assert!(rows.len() > segments.len() && segments.len() >= 250);
    rows.into_iter().map(|row| (segments[row.start..row.end].to_vec(), row)).collect()
}

/// One golden file.
pub fn read<T: DeserializeOwned>(name: &str) -> T {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    let file = File::open(folder.join(format!("{name}.json.gz"))).unwrap();
    serde_json::from_reader(std::io::BufReader::new(flate2::read::GzDecoder::new(file))).unwrap()
}

/// Equal to 1e-9, relatively.
#[track_caller]
pub fn assert_near(ours: f64, reference: f64, what: impl std::fmt::Display) {
    let tolerance = 1e-9 * reference.abs().max(1e-3);
    assert!((ours - reference).abs() <= tolerance, "{what}: {ours}, but the reference has {reference}");
}
