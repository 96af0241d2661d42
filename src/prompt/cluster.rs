//! Which documents of a task are alike: `metadata.cluster`.

use super::read::{Reader, Row};
use crate::error::Result;
use crate::item::Item;
use crate::python::json::sha256;
use crate::remark::Remark;
use crate::task::Task;

const KEY: &str = "metadata.cluster";

/// Bytes of a name that stands as it is. A longer one, a whole passage say, goes by the first half of its SHA-256.
const LONGEST: usize = 80;

/// Hexadecimal digits of that half.
const DIGITS: usize = 32;

/// The cluster that a document belongs to.
///
/// # Errors
/// The template fails on the document, or gives an empty text: documents without a cluster must not become one.
pub(super) fn of(task: &Task, reader: &Reader<'_>, row: &Row<'_>) -> Result<Option<String>> {
    let Some(source) = &task.cluster else { return Ok(None) };
    let name = reader.column_or_template(row, source, KEY)?;
    let name = name.trim();
    if name.is_empty() {
        let hint = "let the template fall back on what only this document has: `{{ passage or question }}`";
        return Err(row.error(KEY, "gives an empty text").hint(hint));
    }
    if name.len() <= LONGEST {
        return Ok(Some(name.to_owned()));
    }
    let mut hash = sha256(name);
    hash.truncate(DIGITS);
    Ok(Some(hash))
}

/// A warning where all documents of a task are in one cluster: nothing then says how documents of another one would do.
pub(super) fn remark(task: &Task, items: &[Item]) -> Option<Remark> {
    let first = items.first()?.cluster.as_ref()?;
    let alike = items.len() > 1 && items.iter().all(|item| item.cluster.as_ref() == Some(first));
    alike.then(|| {
        let text = format!("`{KEY}` puts all documents into one cluster, which is as good as none");
        Remark::warning(task.name.as_str(), text).count(items.len(), items.len(), "documents")
    })
}
