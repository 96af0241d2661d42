//! The text that a template writes itself, without what it takes from a document.

/// What stands outside `{{ }}`, `{% %}` and `{# #}`, with a blank in the place of each.
pub fn own_text(template: &str) -> String {
    let (mut out, mut rest) = (String::new(), template);
    while let Some(at) = ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min() {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        out.push(' ');
        let close = match tag.get(..2) {
            Some("{{") => "}}",
            Some("{%") => "%}",
            _ => "#}",
        };
        rest = tag.get(2..).and_then(|tag| tag.split_once(close)).map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::own_text;

    #[test]
    fn tags_are_left_out() {
        assert_eq!(own_text("a {{ b }}c{% if d %}e{% endif %}{# f #}g"), "a  c e  g");
        assert_eq!(own_text("plain { text }"), "plain { text }");
        assert_eq!(own_text("open {{ to the end"), "open  ");
    }
}
