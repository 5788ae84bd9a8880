//! Preprocessing tokens: what macros are made of. Comments and line continuations end here.

use std::rc::Rc;

use crate::{
    error::{Res, fault},
    source::Span,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ident,
    Number,
    /// A string or character literal, quotes included. Never expanded.
    Literal,
    /// One character.
    Punct,
    /// White space or a comment.
    Space,
    Newline,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub text: Rc<str>,
    pub span: Span,
    /// The macro that this token was expanded from: the span of its definition.
    pub made_by: Option<Span>,
    /// Macros that must not be expanded again in this token.
    pub hide: Option<Rc<Hide>>,
}

/// A linked list of macro names, shared between tokens.
#[derive(Debug)]
pub(super) struct Hide {
    pub name: Rc<str>,
    pub next: Option<Rc<Hide>>,
    pub depth: u32,
}

impl Token {
    pub fn new(kind: Kind, text: impl Into<Rc<str>>, span: Span) -> Self {
        Token { kind, text: text.into(), span, made_by: None, hide: None }
    }

    pub fn is(&self, punct: &str) -> bool {
        self.kind == Kind::Punct && &*self.text == punct
    }

    pub fn is_blank(&self) -> bool {
        matches!(self.kind, Kind::Space | Kind::Newline)
    }

    pub fn hides(&self, name: &str) -> bool {
        let mut next = self.hide.as_deref();
        while let Some(hide) = next {
            if &*hide.name == name {
                return true;
            }
            next = hide.next.as_deref();
        }
        false
    }
}

/// Characters with line continuations taken out.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn skip_splices(&mut self) {
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            match rest {
                [b'\\', b'\n', ..] => self.at += 2,
                [b'\\', b'\r', b'\n', ..] => self.at += 3,
                _ => return,
            }
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_splices();
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }
}

pub(super) fn is_ident_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

pub(super) fn is_ident(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Splits `text` into tokens that cover it, ended by a newline.
pub(super) fn tokenize(file: u32, text: &str) -> Res<Vec<Token>> {
    let mut cursor = Cursor { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        cursor.skip_splices();
        let start = cursor.at;
        let span = |end: usize| Span { file, start: start as u32, end: end as u32 };
        let Some(c) = cursor.bump() else { break };
        let mut token = String::new();
        token.push(c);
        let kind = match c {
            '\n' => Kind::Newline,
            // A byte order mark says nothing in UTF-8.
            '\u{feff}' if start == 0 => {
                token.replace_range(.., " ");
                Kind::Space
            }
            _ if c.is_ascii_whitespace() => {
                while cursor.peek().is_some_and(|c| c != '\n' && c.is_ascii_whitespace()) {
                    cursor.bump();
                }
                token.replace_range(.., " ");
                Kind::Space
            }
            '/' if cursor.peek() == Some('/') => {
                while cursor.peek().is_some_and(|c| c != '\n') {
                    cursor.bump();
                }
                token.replace_range(.., " ");
                Kind::Space
            }
            '/' if cursor.peek() == Some('*') => {
                cursor.bump();
                let mut last = ' ';
                loop {
                    match cursor.bump() {
                        Some('/') if last == '*' => break,
                        Some(c) => last = c,
                        None => {
                            return Err(fault(span(start + 2), "this comment is never closed")
                                .help("end it with `*/`"));
                        }
                    }
                }
                token.replace_range(.., " ");
                Kind::Space
            }
            '"' | '\'' => match literal(&mut cursor, c) {
                Some(rest) => {
                    token.push_str(&rest);
                    Kind::Literal
                }
                None => Kind::Punct,
            },
            _ if is_ident_start(c) => {
                while let Some(c) = cursor.peek().filter(|&c| is_ident(c)) {
                    token.push(c);
                    cursor.bump();
                }
                Kind::Ident
            }
            _ if c.is_ascii_digit() => {
                while let Some(c) = cursor.peek().filter(|&c| is_ident(c)) {
                    token.push(c);
                    cursor.bump();
                }
                Kind::Number
            }
            _ => Kind::Punct,
        };
        tokens.push(Token::new(kind, token, span(cursor.at)));
    }
    let end = text.len() as u32;
    tokens.push(Token::new(Kind::Newline, "\n", Span { file, start: end, end }));
    Ok(tokens)
}

/// The rest of a literal that closes on its own line. One that does not is left to the lexer, as the C preprocessor does:
/// strings may span lines, and apostrophes stand in the text of `#error`.
fn literal(cursor: &mut Cursor<'_>, quote: char) -> Option<String> {
    let back = cursor.at;
    let mut rest = String::new();
    loop {
        match cursor.bump() {
            None | Some('\n') => {
                cursor.at = back;
                return None;
            }
            Some('\\') => {
                rest.push('\\');
                if let Some(c) = cursor.bump() {
                    rest.push(c);
                }
            }
            Some(c) => {
                rest.push(c);
                if c == quote {
                    return Some(rest);
                }
            }
        }
    }
}
