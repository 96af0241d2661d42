//! A comparison in words.

use super::Row;

/// `q4_0: worse on demo_facts (acc -0.0500); no other figure moved beyond noise ...; 3.1 % of answers flipped (21 to wrong, 20 to right)`.
pub(super) fn sentence(candidate: &str, rows: &[Row]) -> String {
    // Groups are their tasks over again.
    let paired = || rows.iter().filter(|row| !row.is_group).filter_map(|row| Some((row, row.paired.as_ref()?)));
    if paired().next().is_none() {
        return format!("{candidate}: no figure here can be compared document by document");
    }
    let mut moved = [Vec::new(), Vec::new(), Vec::new()];
    for (row, paired) in paired().filter(|(row, _)| row.moved()) {
        let change = paired.difference.value;
        let better = row.higher_is_better.map(|higher| (change > 0.0) == higher);
        let kind = match better {
            Some(false) => 0,
            Some(true) => 1,
            None => 2,
        };
        moved[kind].push(format!("{} ({} {change:+.4})", row.task, row.metric));
    }
    let mut parts: Vec<String> = Vec::new();
    for (word, moved) in ["worse on", "better on", "changed on"].into_iter().zip(&moved) {
        if !moved.is_empty() {
            parts.push(format!("{word} {}", moved.join(", ")));
        }
    }
    let all_equal = paired().all(|(_, paired)| paired.difference.value == 0.0 && paired.stderr == 0.0);
    let none_moved = parts.is_empty();
    if all_equal {
        parts.push("every score is the same".to_owned());
    } else {
        let which = if none_moved { "no figure" } else { "no other figure" };
        if paired().any(|(row, _)| !row.moved()) {
            parts.push(format!("{which} moved beyond noise{}", detectable(rows)));
        }
    }
    parts.extend(flips(rows).filter(|_| !all_equal));
    format!("{candidate}: {}", parts.join("; "))
}

/// What the rows that did not move could have shown.
fn detectable(rows: &[Row]) -> String {
    let still = rows.iter().filter(|row| !row.is_group && !row.moved());
    // Figures that are no shares of right answers have scales of their own.
    let shares = still.filter_map(|row| row.paired.as_ref().filter(|paired| paired.to_right.is_some()));
    let seen: Vec<f64> = shares.filter_map(|paired| paired.detectable).map(|least| 100.0 * least).collect();
    let least = seen.iter().copied().reduce(f64::min);
    let most = seen.iter().copied().reduce(f64::max);
    match (least, most) {
        (Some(least), Some(most)) if (most - least).abs() < 0.05 => format!(" (smallest detectable {least:.1} points)"),
        (Some(least), Some(most)) => format!(" (smallest detectable {least:.1} to {most:.1} points)"),
        _ => String::new(),
    }
}

/// Over the first metric of right and wrong of each task.
fn flips(rows: &[Row]) -> Option<String> {
    let mut seen: Vec<&str> = Vec::new();
    let (mut to_right, mut to_wrong, mut n) = (0, 0, 0);
    for row in rows {
        let Some(paired) = &row.paired else { continue };
        if let (Some(right), Some(wrong)) = (paired.to_right, paired.to_wrong)
            && !seen.contains(&row.task.as_str())
        {
            seen.push(&row.task);
            (to_right, to_wrong, n) = (to_right + right, to_wrong + wrong, n + row.n);
        }
    }
    (n > 0).then(|| {
        let share = 100.0 * (to_right + to_wrong) as f64 / n as f64;
        format!("{share:.1} % of {n} answers flipped ({to_wrong} to wrong, {to_right} to right)")
    })
}
