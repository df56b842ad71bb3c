//! What may reach the parser: short text without anything that could nest deeper than a small stack allows.
//!
//! The parser recurses along brackets and along chains of operators (`a.b.c`, `a + b + c`). Both are counted here, before it sees
//! the text. What could make this count disagree with the parser's tokens is refused: escapes, triple quotes, comments.

use super::error::ExpressionError;

/// Bytes of an expression, at most.
pub(super) const TEXT_MAX: usize = 4096;
/// Operators and brackets that may stand within one another.
const NESTING_MAX: u32 = 72;
/// What a bracket counts: the parser goes through several levels for it, some
/// 200 kB of stack without optimisation.
const BRACKET: u32 = 12;
/// Questions of `a ? b : c` in one expression.
const QUESTIONS_MAX: u32 = 8;

pub(super) fn check(text: &str) -> Result<(), ExpressionError> {
    if text.len() > TEXT_MAX {
        return Err(ExpressionError::TooLong { bytes: text.len(), most: TEXT_MAX });
    }
    if text.trim().is_empty() {
        return Err(syntax(text, 0, "the expression is empty"));
    }
    let mut scan = Scan { open: Vec::new(), chain: 0, total: 0, questions: 0 };
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let at = text.len() - rest.len();
        let length = match letter {
            '"' | '\'' => string(text, at, letter)?,
            _ if rest.starts_with("&&") || rest.starts_with("||") => {
                scan.link();
                2
            }
            '_' | 'a'..='z' | 'A'..='Z' | '0'..='9' => scan.word(rest)?,
            _ => {
                scan.letter(text, at, letter)?;
                letter.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    if scan.open.is_empty() { Ok(()) } else { Err(syntax(text, text.len(), "a bracket is not closed")) }
}

/// Where the scan stands: what each open bracket counted before it, and what counts since.
struct Scan {
    open: Vec<(char, u32)>,
    chain: u32,
    total: u32,
    questions: u32,
}

impl Scan {
    /// Logical operators and commas: what follows does not nest in what went before.
    fn link(&mut self) {
        self.total -= self.chain;
        self.chain = 0;
    }

    fn count(&mut self, weight: u32) -> Result<(), ExpressionError> {
        self.total += weight;
        self.chain += weight;
        if self.total > NESTING_MAX { Err(ExpressionError::TooDeep) } else { Ok(()) }
    }

    fn word(&mut self, rest: &str) -> Result<usize, ExpressionError> {
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
        if &rest[..end] == "in" {
            self.count(1)?;
        }
        Ok(end)
    }

    fn letter(&mut self, text: &str, at: usize, letter: char) -> Result<(), ExpressionError> {
        match letter {
            ' ' | '\t' | '\n' | '\r' => Ok(()),
            ',' => {
                self.link();
                Ok(())
            }
            '(' | '[' => {
                self.count(BRACKET)?;
                self.open.push((letter, self.chain));
                self.chain = 0;
                Ok(())
            }
            ')' | ']' => {
                self.total -= self.chain;
                match self.open.pop() {
                    Some((opened, before)) if (opened, letter) == ('(', ')') || (opened, letter) == ('[', ']') => {
                        // One stays: a chain of calls and indexes nests as well.
                        self.chain = before - (BRACKET - 1);
                        self.total -= BRACKET - 1;
                        Ok(())
                    }
                    Some(_) | None => Err(syntax(text, at, "this bracket closes none")),
                }
            }
            '?' => {
                self.questions += 1;
                if self.questions > QUESTIONS_MAX { Err(ExpressionError::TooDeep) } else { Ok(()) }
            }
            '/' if text[at..].starts_with("//") => Err(unsupported("a comment", "; say it in the description")),
            '.' | '!' | ':' | '=' | '<' | '>' | '+' | '-' | '*' | '/' | '%' => self.count(1),
            '\\' | '{' | '}' => Err(unsupported(&letter.to_string(), "")),
            _ => Err(syntax(text, at, "this letter has no meaning outside quotes")),
        }
    }
}

/// Bytes of the string that starts here, with its quotes.
fn string(text: &str, at: usize, quote: char) -> Result<usize, ExpressionError> {
    let inside = &text[at + 1..];
    let Some(end) = inside.find(quote) else { return Err(syntax(text, at, "this quote is not closed")) };
    let content = &inside[..end];
    if content.contains('\\') {
        return Err(unsupported("a backslash in a string", "; use the other kind of quote to write a quote"));
    }
    if content.chars().any(char::is_control) {
        return Err(syntax(text, at, "a string must not hold control characters or end of lines"));
    }
    if content.is_empty() && inside[1..].starts_with(quote) {
        return Err(unsupported("a string in triple quotes", ""));
    }
    let before = text[..at].chars().next_back();
    if before.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Err(unsupported("a string with a prefix", "; write it in plain quotes"));
    }
    Ok(end + 2)
}

fn unsupported(what: &str, instead: &'static str) -> ExpressionError {
    ExpressionError::Unsupported { what: what.to_owned(), instead }
}

fn syntax(text: &str, at: usize, message: &str) -> ExpressionError {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    ExpressionError::Syntax {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_but_flat_text_passes() {
        let flat = vec!["location.code == 'L1' || order.channel in ['a', 'b']"; 70].join(" && ");
        assert_eq!(check(&flat), Ok(()));
        let list = format!("location.code in [{}]", vec!["'L1234'"; 400].join(", "));
        assert_eq!(check(&list), Ok(()));
    }

    #[test]
    fn what_nests_is_refused_before_it_is_parsed() {
        let deep = [
            format!("{}true{}", "(".repeat(7), ")".repeat(7)),
            format!("{}true", "!".repeat(73)),
            format!("1{} == 1", "+1".repeat(73)),
            format!("order{}", ".a".repeat(73)),
            format!("order{}", "[0]".repeat(73)),
            format!("order{}", ".a()".repeat(40)),
            format!("{}true", "true ? true : ".repeat(9)),
            format!("{}true", "true ? true && true : ".repeat(9)),
        ];
        for text in deep {
            assert_eq!(check(&text), Err(ExpressionError::TooDeep), "{text}");
        }
    }

    #[test]
    fn what_would_confuse_the_count_is_refused() {
        for text in [
            "'a\\'b' == ''",
            "'''a''' == ''",
            "r'a' == ''",
            "true // '(",
            "'",
            "(true",
            "true)",
            "(true]",
            " ",
            "天",
            "`a`",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
        assert_eq!(check("order.channel == '天猫' && order.order_type != \"it's\""), Ok(()));
    }
}
