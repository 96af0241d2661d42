//! Tables for other programs: CSV by polars, unrounded.

use crate::error::{Error, Result};
use crate::visible;
use polars::prelude::{Column, CsvWriter, DataFrame, IntoColumn, NamedFrom, SerWriter, Series};

/// A table in the making, column by column.
#[derive(Default)]
pub(super) struct Plain {
    columns: Vec<Column>,
}

impl Plain {
    /// Adds a column of texts from anywhere. A text that a spreadsheet would take for a formula gets a `'` in front.
    pub fn texts<T: AsRef<str>>(mut self, name: &str, values: impl IntoIterator<Item = T>) -> Plain {
        let harmless = |text: T| {
            let text = visible::line(text.as_ref()).into_owned();
            if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
        };
        let values: Vec<String> = values.into_iter().map(harmless).collect();
        self.columns.push(Series::new(name.into(), values).into_column());
        self
    }

    /// Adds a column of numbers.
    pub fn numbers(mut self, name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Plain {
        let values: Vec<Option<f64>> = values.into_iter().collect();
        self.columns.push(Series::new(name.into(), values).into_column());
        self
    }

    /// Adds a column of counts.
    pub fn counts(mut self, name: &str, values: impl IntoIterator<Item = Option<usize>>) -> Plain {
        let values: Vec<Option<u64>> = values.into_iter().map(|count| count.map(|count| count as u64)).collect();
        self.columns.push(Series::new(name.into(), values).into_column());
        self
    }

    /// The table as CSV with a header.
    ///
    /// # Errors
    /// Columns of different lengths.
    pub fn csv(self) -> Result<String> {
        let fail = |err: &dyn std::fmt::Display| Error::input(format!("cannot write the table as CSV: {err}"));
        let height = self.columns.first().map_or(0, Column::len);
        let mut frame = DataFrame::new(height, self.columns).map_err(|err| fail(&err))?;
        let mut bytes = Vec::new();
        CsvWriter::new(&mut bytes).finish(&mut frame).map_err(|err| fail(&err))?;
        String::from_utf8(bytes).map_err(|err| fail(&err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_harmless() {
        let table = Plain::default()
            .texts("task", ["a,b \"c\"", "=1+1", "x\u{1b}[31m"])
            .numbers("value", [Some(0.1), None, Some(-1e-7)])
            .counts("n", [Some(3), None, Some(0)]);
        let lines = "task,value,n\n\"a,b \"\"c\"\"\",0.1,3\n'=1+1,,\nx\\u{1b}[31m,-1e-7,0\n";
        assert_eq!(table.csv().unwrap(), lines);
    }
}
