//! Where a text ends that nobody ended.

/// Tokens of most answers when nobody says otherwise, as in the reference.
pub const DEFAULT_MAX_GEN_TOKS: usize = 256;

/// Whether a stop string stands in a text.
pub fn contains_stop(text: &str, stops: &[String]) -> bool {
    stops.iter().any(|stop| !stop.is_empty() && text.contains(stop.as_str()))
}

/// The text before the first occurrence of each stop string in turn.
pub fn cut_at_stops<'a>(text: &'a str, stops: &[String]) -> &'a str {
    let cut = |text: &'a str, stop: &String| text.split_once(stop.as_str()).map_or(text, |(before, _)| before);
    stops.iter().filter(|stop| !stop.is_empty()).fold(text, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_cut_in_turn() {
        let stops = ["b".to_string(), String::new(), "a".to_string()];
        assert_eq!(cut_at_stops("xaxbx", &stops), "x");
        assert_eq!(cut_at_stops("xyz", &stops), "xyz");
    }
}
