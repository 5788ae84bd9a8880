//! Tokens of the devicetree language. What a character means depends on where it stands, so the parser asks for what it expects.

use super::{
    expr::{self, Term},
    pptoken::{is_ident, is_ident_start},
    preprocess::Text,
};
use crate::{
    error::{Fault, Res, fault},
    source::Span,
};

/// Names longer than this are refused; the specification allows 31 characters.
const MAX_NAME: usize = 1024;

pub(super) struct Lexer<'a> {
    source: &'a Text,
    text: &'a str,
    at: usize,
    /// End of the last token.
    last: usize,
}

/// A character of a node or property name.
pub(super) fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b",._+*#?@-".contains(&b)
}

impl<'a> Lexer<'a> {
    pub fn new(source: &'a Text) -> Self {
        let mut lexer = Lexer { source, text: &source.text, at: 0, last: 0 };
        lexer.blank();
        lexer
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        let rest = self.rest();
        self.at +=
            rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b').len();
    }

    /// Takes `len` bytes as a token, and the blanks after it.
    fn take(&mut self, len: usize) -> (&'a str, Span) {
        let text = &self.rest()[..len];
        let span = self.source.origin(self.at, self.at + len);
        self.at += len;
        self.last = self.at;
        self.blank();
        (text, span)
    }

    /// Where the next token starts.
    pub fn span(&self) -> Span {
        let len = self.rest().chars().next().map_or(0, char::len_utf8);
        self.source.origin(self.at, self.at + len)
    }

    pub fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// "expected `what`, found ..." at the next token. A missing `;` is reported where it is missing, after the last token.
    pub fn expected(&self, what: &str) -> Box<Fault> {
        let found = match self.rest().chars().next() {
            None => "the end of the file".into(),
            Some(_) => format!("`{}`", self.shown()),
        };
        let here = self.source.origin(self.at, self.at + self.shown().len());
        let span = if what.contains("`;`") && self.last > 0 {
            self.source.origin(self.last - 1, self.last)
        } else {
            here
        };
        fault(span, format!("expected {what}, found {found}"))
    }

    /// The next token, roughly, for messages.
    fn shown(&self) -> &'a str {
        let rest = self.rest();
        let len = rest.bytes().take(40).take_while(|&b| is_name(b)).count();
        &rest[..len.max(rest.chars().next().map_or(0, char::len_utf8))]
    }

    /// Takes `token` if it is next.
    pub fn eat(&mut self, token: &str) -> Option<Span> {
        self.rest().starts_with(token).then(|| self.take(token.len()).1)
    }

    pub fn need(&mut self, token: &str) -> Res<Span> {
        self.eat(token).ok_or_else(|| self.expected(&format!("`{token}`")))
    }

    pub fn next_is(&self, token: &str) -> bool {
        self.rest().starts_with(token)
    }

    /// `label:`
    pub fn label(&mut self) -> Option<(&'a str, Span)> {
        let rest = self.rest();
        let len = rest.bytes().take_while(|&b| is_ident(b as char)).count();
        if !rest.starts_with(is_ident_start) || rest.as_bytes().get(len) != Some(&b':') {
            return None;
        }
        let (text, span) = self.take(len + 1);
        Some((&text[..len], Span { end: span.end.saturating_sub(1).max(span.start), ..span }))
    }

    /// A node or property name; a backslash before it makes any of its characters plain.
    pub fn name(&mut self) -> Res<Option<(&'a str, Span)>> {
        let rest = self.rest();
        let escape = rest.starts_with('\\') as usize;
        let len = rest.bytes().skip(escape).take_while(|&b| is_name(b)).count();
        if len == 0 {
            return Ok(None);
        }
        if len > MAX_NAME {
            return Err(fault(self.span(), format!("this name is longer than {MAX_NAME} characters")));
        }
        let (text, span) = self.take(escape + len);
        Ok(Some((&text[escape..], span)))
    }

    /// `&label` or `&{/path}`, without the decoration.
    pub fn reference(&mut self) -> Res<Option<(&'a str, Span)>> {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix('&') else { return Ok(None) };
        if let Some(path) = after.strip_prefix('{') {
            let len = path.bytes().take_while(|&b| is_name(b) || b == b'/').count();
            if !path[len..].starts_with('}') {
                return Err(fault(self.span(), "expected a path and `}` after `&{`"));
            }
            let (text, span) = self.take(len + 3);
            return Ok(Some((&text[2..2 + len], span)));
        }
        let len = after.bytes().take_while(|&b| is_ident(b as char)).count();
        if !after.starts_with(is_ident_start) {
            return Err(fault(self.span(), "expected a label or `{/path}` after `&`"));
        }
        let (text, span) = self.take(len + 1);
        Ok(Some((&text[1..], span)))
    }

    /// A string with its escapes resolved.
    pub fn string(&mut self) -> Res<Option<(Vec<u8>, Span)>> {
        if !self.next_is("\"") {
            return Ok(None);
        }
        let bytes = self.rest().as_bytes();
        let mut out = Vec::new();
        let mut at = 1;
        loop {
            match bytes.get(at) {
                None => {
                    return Err(
                        fault(self.span(), "this string is never closed").help("add the missing `\"`")
                    );
                }
                Some(b'"') => break,
                Some(b'\\') => at = self.escape(bytes, at + 1, &mut out)?,
                Some(&b) => {
                    out.push(b);
                    at += 1;
                }
            }
        }
        let (_, span) = self.take(at + 1);
        Ok(Some((out, span)))
    }

    /// Resolves the escape whose character is at `at`; the offset after it.
    fn escape(&self, bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Res<usize> {
        let Some(&c) = bytes.get(at) else {
            return Err(fault(self.span(), "this string is never closed").help("add the missing `\"`"));
        };
        let digits = |from: usize, max: usize, radix: u32| {
            bytes[from..].iter().take(max).take_while(|&&b| (b as char).is_digit(radix)).count()
        };
        let number = |from: usize, len: usize, radix: u32| {
            bytes[from..from + len].iter().fold(0u32, |v, &b| {
                v.wrapping_mul(radix).wrapping_add((b as char).to_digit(radix).unwrap_or(0))
            })
        };
        let simple = match c {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'0'..=b'7' => {
                let len = digits(at, 3, 8);
                let value = number(at, len, 8);
                let Ok(byte) = u8::try_from(value) else {
                    return Err(fault(
                        self.span(),
                        format!("the octal escape \\{value:o} does not fit in a byte"),
                    ));
                };
                out.push(byte);
                return Ok(at + len);
            }
            b'x' => {
                let len = digits(at + 1, 2, 16);
                if len == 0 {
                    return Err(fault(self.span(), "expected hexadecimal digits after `\\x`"));
                }
                out.push(number(at + 1, len, 16) as u8);
                return Ok(at + 1 + len);
            }
            other => other,
        };
        out.push(simple);
        Ok(at + 1)
    }

    /// A number, a character, or an expression in parentheses.
    pub fn integer(&mut self) -> Res<Option<(u64, Span)>> {
        if !self.next_is("(") {
            return self.literal();
        }
        let start = self.span();
        let mut terms = Vec::new();
        let mut depth = 0u32;
        loop {
            if let Some((value, span)) = self.literal()? {
                terms.push((Term::Number(value), span));
                continue;
            }
            let Some(op) = expr::operator(self.rest()) else {
                return Err(self.expected("an operator, a number or `)` in this expression"));
            };
            let (_, span) = self.take(op.len());
            terms.push((Term::Op(op), span));
            depth = depth.saturating_add((op == "(") as u32) - (op == ")") as u32;
            if depth == 0 {
                return Ok(Some((expr::evaluate(&terms, span, false)?, start.to(span))));
            }
        }
    }

    fn literal(&mut self) -> Res<Option<(u64, Span)>> {
        let rest = self.rest();
        if rest.starts_with('\'') {
            return self.character().map(Some);
        }
        if !rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        let len = rest.bytes().take_while(|&b| is_ident(b as char)).count();
        let value =
            expr::integer(&rest[..len]).map_err(|e| fault(self.source.origin(self.at, self.at + len), e))?;
        Ok(Some((value, self.take(len).1)))
    }

    fn character(&mut self) -> Res<(u64, Span)> {
        let bytes = self.rest().as_bytes();
        let bad = || fault(self.span(), "expected one character between quotes, as in 'a' or '\\n'");
        let mut value = Vec::new();
        let end = match bytes.get(1) {
            Some(b'\\') => self.escape(bytes, 2, &mut value).map_err(|_| bad())?,
            Some(b'\'') | None => return Err(bad()),
            Some(&b) => {
                value.push(b);
                2
            }
        };
        if bytes.get(end) != Some(&b'\'') || !self.rest().is_char_boundary(end + 1) {
            return Err(bad());
        }
        Ok((u64::from(value[0]), self.take(end + 1).1))
    }

    /// Two hexadecimal digits of a byte string.
    pub fn byte(&mut self) -> Res<Option<(u8, Span)>> {
        let digits = self.rest().bytes().take(2).take_while(u8::is_ascii_hexdigit).count();
        match digits {
            0 => Ok(None),
            1 => Err(fault(self.span(), "expected two hexadecimal digits for each byte")),
            _ => {
                let (text, span) = self.take(2);
                Ok(Some((u8::from_str_radix(text, 16).unwrap_or(0), span)))
            }
        }
    }
}
