//! What of a sequence a model sees when its window is too short.

use super::encode::Pair;
use crate::request::Unscored;

/// A pair in a window: what is fed to the model, and how much of the context was cut.
pub fn fit_pair(pair: &Pair, max_length: usize) -> Result<(Vec<u32>, usize), Unscored> {
    let Pair { context, continuation } = pair;
    if continuation.len() > max_length {
        return Err(Unscored::new(format!("the continuation has more tokens than the window of {max_length}")));
    }
    let total = context.len() + continuation.len();
    let cut = total.saturating_sub(max_length + 1);
    // The last token is only predicted, never fed.
    let input = context.iter().chain(continuation).copied().take(total - 1).skip(cut).collect();
    Ok((input, cut))
}

/// Windows of a long text: each predicts tokens that no other predicts, the first from `prefix`, the others from what stands
/// before them; the last one is filled up with earlier context. Pairs of (input, targets).
pub fn rolling_windows(tokens: &[u32], prefix: u32, max_length: usize) -> Vec<(Vec<u32>, Vec<u32>)> {
    let first = tokens.len().min(max_length);
    let (head, rest) = tokens.split_at(first);
    let mut windows = Vec::new();
    if first > 0 {
        let input = std::iter::once(prefix).chain(head.iter().copied().take(first - 1)).collect();
        windows.push((input, head.to_vec()));
    }
    let mut end = first;
    for targets in rest.chunks(max_length) {
        end += targets.len();
        let input = tokens.iter().copied().take(end - 1).skip(end - 1 - max_length).collect();
        windows.push((input, targets.to_vec()));
    }
    windows
}

/// Cuts a prompt to what leaves room for the answer.
pub fn fit_prompt(
    mut ids: Vec<u32>,
    max_new_tokens: usize,
    max_length: usize,
) -> std::result::Result<(Vec<u32>, usize), Unscored> {
    let room = max_length.saturating_sub(max_new_tokens);
    if room == 0 {
        return Err(Unscored::new(format!(
            "max_gen_toks {max_new_tokens} leaves no room for a prompt in the window of {max_length} tokens"
        )));
    }
    let cut = ids.len().saturating_sub(room);
    ids.drain(..cut);
    Ok((ids, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(context: &[u32], continuation: &[u32]) -> Pair {
        Pair { context: context.to_vec(), continuation: continuation.to_vec() }
    }

    #[test]
    fn cuts_the_context_from_the_left() {
        assert_eq!(fit_pair(&pair(&[1, 2, 3], &[4, 5]), 4).unwrap(), (vec![1, 2, 3, 4], 0));
        assert_eq!(fit_pair(&pair(&[1, 2, 3], &[4, 5]), 3).unwrap(), (vec![2, 3, 4], 1));
        assert_eq!(fit_pair(&pair(&[1, 2, 3], &[4, 5]), 2).unwrap(), (vec![3, 4], 2));
        assert!(fit_pair(&pair(&[1, 2, 3], &[4, 5]), 1).unwrap_err().reason.contains("window of 1"));
    }

    // Expected windows: get_rolling_token_windows and make_disjoint_window of lm-eval 0.4.13 with prefix 100, max_seq_len 4,
    // context_len 1 over range(10), then (context + continuation)[-5:][:-1].
    #[test]
    fn rolling_windows_equal_the_references() {
        let tokens: Vec<u32> = (0..10).collect();
        let expected = [
            (vec![100, 0, 1, 2], vec![0, 1, 2, 3]),
            (vec![3, 4, 5, 6], vec![4, 5, 6, 7]),
            (vec![5, 6, 7, 8], vec![8, 9]),
        ];
        assert_eq!(rolling_windows(&tokens, 100, 4), expected);
        assert_eq!(rolling_windows(&tokens[..2], 100, 4), [(vec![100, 0], vec![0, 1])]);
        assert_eq!(rolling_windows(&[], 100, 4), []);
    }

    #[test]
    fn prompts_are_cut_from_the_left() {
        assert_eq!(fit_prompt(vec![1, 2, 3], 2, 4).unwrap(), (vec![2, 3], 1));
        assert_eq!(fit_prompt(vec![1], 2, 4).unwrap(), (vec![1], 0));
        assert!(fit_prompt(vec![1], 4, 4).unwrap_err().reason.contains("no room"));
    }
}
