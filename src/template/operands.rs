//! Where the operands of an expression begin and end, and which of them are handed to functions of ours, because minijinja's operators
//! are not Python's or are not paid for.
//!
//! Comes in: the words and signs of one tag. Goes out: the same text with calls put in. The calls:
//!
//! | written | becomes | why |
//! |---|---|---|
//! | `a % b` | `__modulo( a , b )` | texts are formatted by `%` |
//! | `a + b` | `a + __paid( b )` | lists grow by sums, which cost nothing otherwise |
//! | `[a, b]`, `(a, b)`, `{"k": a}` | `__held([a, b])` | values that hold values may double in a loop |
//! | `for x in a` | `for x in __each( a )` | `none` cannot be gone through |
//! | `set a.b = c` | `set a.b = __held( c )` | as for lists |
//!
//! Only the levels of operators that matter are told apart, loosest first: everything up to comparisons; `+` and `-`; `~`; `*`, `/`, `//`
//! and `%`; what binds closer. Filters, tests, attributes, subscripts and calls belong to an operand.

/// What stands for `a % b`.
pub const MODULO: &str = "__modulo";

/// What the right operand of a sum goes through.
pub const PAID: &str = "__paid";

/// What a value goes through that holds others.
pub const HELD: &str = "__held";

/// What a loop's values go through.
pub const EACH: &str = "__each";

/// A part of a rewritten template, for errors: without the names of our functions, whose brackets stay.
pub fn as_written(part: &str) -> String {
    [MODULO, PAID, HELD, EACH].iter().fold(part.to_string(), |part, name| part.replace(name, ""))
}

/// A name with what stands before it.
pub struct Word<'a> {
    pub name: &'a str,
    /// The word or sign before; nothing for a text.
    pub after: &'a str,
    /// It is the first of its tag.
    pub first: bool,
}

/// Words that end an operand.
const SEPARATORS: &[&str] = &["and", "or", "not", "in", "if", "else", "recursive"];

/// Words that stand for values.
const LITERALS: &[&str] = &["true", "True", "false", "False", "none", "None"];

/// What is known inside of one pair of brackets, or outside of all.
struct Level {
    /// Where the product begins that is being read.
    product: usize,
    /// `__modulo(` is open.
    in_modulo: bool,
    /// `__paid(` is open.
    in_sum: bool,
    /// The last thing read can be an operand's end.
    after_operand: bool,
    /// Where the bracket stands, if it opens a list, a tuple or a dict.
    literal: Option<usize>,
    /// There is a name inside: the value is not constant.
    has_names: bool,
    has_comma: bool,
}

/// The operands of one tag.
pub struct Operands {
    levels: Vec<Level>,
    outside: Level,
    /// The tag is `for` or `set`, and its targets are being read.
    targets: Option<&'static str>,
    /// A `set` has an attribute for its target.
    attribute: bool,
    /// A call around the rest of the tag is open.
    in_call: bool,
    /// A test's name comes next.
    in_test: bool,
}

impl Level {
    fn new(at: usize, literal: Option<usize>) -> Level {
        Level {
            product: at,
            in_modulo: false,
            in_sum: false,
            after_operand: false,
            literal,
            has_names: false,
            has_comma: false,
        }
    }

    fn end_product(&mut self, out: &mut String) {
        if std::mem::take(&mut self.in_modulo) {
            out.push(')');
        }
    }

    fn end_sum(&mut self, out: &mut String) {
        self.end_product(out);
        if std::mem::take(&mut self.in_sum) {
            out.push(')');
        }
    }

    /// What comes next is a new operand.
    fn begin(&mut self, at: usize) {
        (self.product, self.after_operand) = (at, false);
    }
}

impl Operands {
    /// `at`: where the tag's content begins in the output.
    pub fn new(at: usize) -> Operands {
        Operands {
            levels: Vec::new(),
            outside: Level::new(at, None),
            targets: None,
            attribute: false,
            in_call: false,
            in_test: false,
        }
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().unwrap_or(&mut self.outside)
    }

    /// Whether no bracket is open.
    pub fn is_outside(&self) -> bool {
        self.levels.is_empty()
    }

    /// A text or a number was read.
    pub fn operand(&mut self) {
        self.in_test = false;
        self.level().after_operand = true;
    }

    /// The tag ends.
    pub fn end(&mut self, out: &mut String) {
        self.level().end_sum(out);
        self.end_call(out);
    }

    fn end_call(&mut self, out: &mut String) {
        if std::mem::take(&mut self.in_call) {
            out.push(')');
        }
    }

    fn begin_call(&mut self, function: &str, out: &mut String) {
        out.push_str(function);
        out.push('(');
        self.in_call = true;
    }

    /// Takes a word; `written` is what goes out for it.
    pub fn word(&mut self, word: &Word<'_>, out: &mut String, written: &str) {
        let is_bare = !matches!(word.after, "." | "|") && !std::mem::take(&mut self.in_test);
        let is_test = word.name == "is" && is_bare;
        if word.first {
            self.targets = ["for", "set"].into_iter().find(|name| *name == word.name);
            out.push_str(written);
            self.level().begin(out.len());
            // What `call` calls may have brackets before it, which are no tuple.
            self.level().after_operand = word.name == "call";
        } else if is_test || (word.after == "is" && word.name == "not") {
            self.in_test = true;
            out.push_str(written);
        } else if is_bare && SEPARATORS.contains(&word.name) {
            self.separator(word, out, written);
        } else {
            out.push_str(written);
            let level = self.level();
            level.after_operand = true;
            level.has_names |= !LITERALS.contains(&word.name);
        }
    }

    fn separator(&mut self, word: &Word<'_>, out: &mut String, written: &str) {
        self.level().end_sum(out);
        if self.is_outside() && matches!(word.name, "if" | "recursive") {
            self.end_call_of_loop(out);
        }
        out.push_str(written);
        if self.is_outside() && word.name == "in" && self.targets == Some("for") {
            self.targets = None;
            out.push(' ');
            self.begin_call(EACH, out);
        }
        let at = out.len();
        self.level().begin(at);
    }

    /// A loop's values end where its condition begins; the value of a `set` holds its conditions.
    fn end_call_of_loop(&mut self, out: &mut String) {
        if !self.attribute {
            self.end_call(out);
        }
    }

    /// Takes an operator, a bracket or another sign.
    pub fn sign(&mut self, sign: &str, out: &mut String) {
        self.in_test = false;
        match sign {
            "(" | "[" | "{" => {
                let is_value = !self.level().after_operand && self.targets.is_none();
                let literal = is_value.then_some(out.len());
                out.push_str(sign);
                self.levels.push(Level::new(out.len(), literal));
            }
            ")" | "]" | "}" => self.close(sign, out),
            "%" if self.level().after_operand => {
                let level = self.level();
                level.end_product(out);
                out.insert_str(level.product, &format!("{MODULO}("));
                out.push(',');
                (level.in_modulo, level.after_operand) = (true, false);
            }
            "**" => {
                out.push_str(sign);
                self.level().after_operand = false;
            }
            "*" | "/" | "//" | "%" => {
                self.level().end_product(out);
                out.push_str(sign);
                self.level().after_operand = false;
            }
            "~" => {
                self.level().end_product(out);
                out.push_str(sign);
                let at = out.len();
                self.level().begin(at);
            }
            "+" | "-" if self.level().after_operand => {
                let level = self.level();
                level.end_sum(out);
                out.push_str(sign);
                if sign == "+" {
                    out.push_str(&format!(" {PAID}("));
                    level.in_sum = true;
                }
                level.begin(out.len());
            }
            "." | "|" | "-" | "+" => {
                self.attribute |= sign == "." && self.targets == Some("set");
                out.push_str(sign);
            }
            _ => self.other(sign, out),
        }
    }

    /// Commas, colons, comparisons.
    fn other(&mut self, sign: &str, out: &mut String) {
        let is_assignment = sign == "=" && self.is_outside() && self.targets == Some("set");
        let level = self.level();
        level.end_sum(out);
        level.has_comma |= sign == ",";
        out.push_str(sign);
        if is_assignment {
            self.targets = None;
            if self.attribute {
                out.push(' ');
                self.begin_call(HELD, out);
            }
        }
        let at = out.len();
        self.level().begin(at);
    }

    fn close(&mut self, sign: &str, out: &mut String) {
        self.level().end_sum(out);
        out.push_str(sign);
        let Some(inner) = self.levels.pop() else { return };
        let is_held = inner.has_names && (sign != ")" || inner.has_comma);
        if let Some(at) = inner.literal.filter(|_| is_held) {
            out.insert_str(at, &format!("{HELD}("));
            out.push(')');
        }
        let level = self.level();
        level.has_names |= inner.has_names;
        level.after_operand = true;
    }
}

#[cfg(test)]
mod tests {
    use crate::template::scan::{Dialect, scan};

    fn rewritten(source: &str) -> String {
        scan(source, Dialect::Task).unwrap().source
    }

    #[test]
    fn operands_are_found() {
        for (written, becomes) in [
            ("{{ a + b }}", "{{ a + __paid( b )}}"),
            ("{{ a+b-c ~ d*e+f }}", "{{ a+ __paid(b)-c ~ d*e+ __paid(f )}}"),
            ("{{ '%s' % a }}", "{{__modulo( '%s' , a )}}"),
            ("{{ a + b * c % d * e }}", "{{ a + __paid(__modulo( b * c , d )* e )}}"),
            ("{{ a % b % c }}", "{{__modulo(__modulo( a , b ), c )}}"),
            ("{{ -a % b ** c - 1 }}", "{{__modulo( -a , b ** c )- 1 }}"),
            ("{{ '%s' % (a, 1) }}", "{{__modulo( '%s' , __held((a, 1)) )}}"),
            ("{{ 1 + 1e-7 + .5 }}", "{{ 1 + __paid( 1e-7 )+ __paid( .5 )}}"),
            ("{{ a + b is not string and c }}", "{{ a + __paid( b is not string )and c }}"),
            ("{{ a + b is in c }}", "{{ a + __paid( b is in c )}}"),
            ("{{ a.if + b | in(c) }}", "{{ a.if + __paid( b | in(c) )}}"),
            ("{{ [1, 'a', true] }}", "{{ [1, 'a', true] }}"),
            ("{{ [a, [b]][0] }}", "{{ __held([a, __held([b])])[0] }}"),
            ("{{ (a) }} {{ f(a, b)[c] }}", "{{ (a) }} {{ f(a, b)[c] }}"),
            ("{{ {'a': b} }}", "{{ __held({'a': b}) }}"),
            ("{%- for (a, b), c in d + e if a -%}", "{%- for (a, b), c in __each( d + __paid( e ))if a -%}"),
            ("{% for a in b recursive %}", "{% for a in __each( b )recursive %}"),
            ("{% for a in b -%}", "{% for a in __each( b )-%}"),
            ("{% set (a, b) = c, [d] %}", "{% set (a, b) = c, __held([d]) %}"),
            ("{% set a.b = c if d else e %}", "{% set a.b = __held( c if d else e )%}"),
            ("{% call(a, b) f() %}{{+ -a }}", "{% call(a, b) f() %}{{+ -a }}"),
            ("{% if a %}%{{ 5 % 3 }}%{% endif %}", "{% if a %}%{{__modulo( 5 , 3 )}}%{% endif %}"),
            ("{{ '%d' % 3 -}}", "{{__modulo( '%d' , 3 )-}}"),
        ] {
            assert_eq!(rewritten(written), becomes, "{written}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_with_its_line() {
        let refused = scan(&format!("\n{{{{ 1{} }}}}", "+1".repeat(100_000)), Dialect::Task).unwrap_err();
        assert!(refused.problem.contains("words and signs") && refused.line == 2, "{refused:?}");
        assert!(scan(&" ".repeat(2 << 20), Dialect::Chat).unwrap_err().problem.contains("bytes"));
        assert!(scan(&format!("{{{{ 1{} }}}}", "+1".repeat(8_000)), Dialect::Task).is_ok());
    }
}
