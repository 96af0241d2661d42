//! A section of the page: settings, and a row for each method and size.

use std::fmt;

/// Coverage of one method at one size over several settings.
pub struct Row {
    pub method: String,
    /// Values, pairs or clusters.
    pub size: usize,
    /// Of each setting: how often the truth was held, how wide the interval was, and how often there was none.
    pub settings: Vec<Setting>,
    /// The standard error that a simulation leaves in a coverage; 0 where outcomes are counted.
    pub noise: f64,
}

#[derive(Clone, Copy)]
pub struct Setting {
    pub covered: f64,
    pub width: f64,
    pub refused: f64,
}

pub struct Section {
    pub title: &'static str,
    pub text: String,
    pub size: &'static str,
    /// Whether the rows are of intervals, which have a width and a promise; else of tests.
    pub intervals: bool,
    pub rows: Vec<Row>,
}

impl Row {
    pub fn least(&self) -> f64 {
        self.settings.iter().map(|setting| setting.covered).fold(f64::INFINITY, f64::min)
    }

    pub fn most(&self) -> f64 {
        self.settings.iter().map(|setting| setting.covered).fold(0.0, f64::max)
    }

    pub fn mean(&self) -> f64 {
        self.over(|setting| setting.covered)
    }

    fn over(&self, of: fn(&Setting) -> f64) -> f64 {
        self.settings.iter().map(of).sum::<f64>() / self.settings.len() as f64
    }

    /// Whether it keeps the promise; `None` where there is none. What two errors of the simulation can explain is not held against it.
    pub fn holds(&self) -> Option<bool> {
        let least = match self.size {
            0..50 => return None,
            50..500 => 0.92,
            _ => 0.94,
        };
        let slack = 2.0 * self.noise;
        let of_mean = slack / (self.settings.len() as f64).sqrt();
        let mean = self.mean();
        Some(mean >= 0.94 - of_mean && mean <= 0.96 + of_mean && self.least() >= least - slack)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n", self.title, self.text)?;
        let refusals = self.rows.iter().any(|row| row.over(|setting| setting.refused) > 0.0);
        let (width, rule) = if self.intervals { (" width | holds |", "---:|---|") } else { ("", "") };
        write!(f, "| method | {} | least | mean | most |{width}", self.size)?;
        writeln!(f, "{}", if refusals { " no interval |" } else { "" })?;
        writeln!(f, "|---|---:|---:|---:|---:|{rule}{}", if refusals { "---:|" } else { "" })?;
        for row in &self.rows {
            let holds = row.holds().map_or("–", |holds| if holds { "yes" } else { "no" });
            let (method, size, width) = (&row.method, row.size, 100.0 * row.over(|setting| setting.width));
            write!(f, "| {method} | {size} | {:.3} | {:.3} | {:.3} |", row.least(), row.mean(), row.most())?;
            if self.intervals {
                write!(f, " {width:.2} | {holds} |")?;
            }
            if refusals {
                write!(f, " {:.1} % |", 100.0 * row.over(|setting| setting.refused))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
