//! Macro definitions and their expansion, as in C: arguments are expanded first, the result is scanned again, and a macro is
//! not expanded within itself.

use std::{collections::HashMap, rc::Rc};

use super::pptoken::{Hide, Kind, Token, is_ident, tokenize};
use crate::{
    error::{Res, fault},
    source::Span,
};

/// Macros within macros, and calls within arguments.
const MAX_DEPTH: u32 = 200;
/// Tokens that one compilation may expand to: beyond it a handful of macros that double each other would fill memory.
const MAX_TOKENS: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Macro {
    params: Option<Vec<Rc<str>>>,
    /// The last parameter takes all remaining arguments.
    variadic: bool,
    body: Vec<Token>,
    pub span: Span,
}

impl Macro {
    /// Parses what follows `#define NAME`.
    pub fn parse(span: Span, rest: &[Token]) -> Res<Macro> {
        let mut at = 0;
        let mut params = None;
        let mut variadic = false;
        // A parameter list only where `(` touches the name.
        if rest.first().is_some_and(|t| t.is("(")) {
            let mut names: Vec<Rc<str>> = Vec::new();
            let words: Vec<&Token> = rest.iter().skip(1).filter(|t| !t.is_blank()).collect();
            let close = rest.iter().position(|t| t.is(")"));
            let Some(close) = close else {
                return Err(fault(span, "expected `)` after the parameters of this macro"));
            };
            let mut words = words.into_iter().peekable();
            while let Some(word) = words.next() {
                if word.is(")") && names.is_empty() {
                    break;
                }
                if word.kind == Kind::Ident {
                    names.push(word.text.clone());
                    if words.peek().is_some_and(|t| t.is(".")) {
                        variadic = true;
                    }
                } else if word.is(".") {
                    variadic = true;
                    names.push("__VA_ARGS__".into());
                } else {
                    return Err(fault(
                        word.span,
                        format!("expected a parameter name, found `{}`", word.text),
                    ));
                }
                if variadic {
                    while words.peek().is_some_and(|t| t.is(".")) {
                        words.next();
                    }
                }
                match words.next() {
                    Some(t) if t.is(")") => break,
                    Some(t) if t.is(",") && !variadic => {}
                    other => {
                        return Err(fault(
                            other.map_or(span, |t| t.span),
                            "expected `,` or `)` after this parameter",
                        ));
                    }
                }
            }
            at = close + 1;
            params = Some(names);
        }
        let body = trim(&rest[at..]).to_vec();
        Ok(Macro { params, variadic, body, span })
    }

    /// A macro without parameters that stands for `text`.
    pub fn object(text: &str) -> Macro {
        let body = tokenize(0, text).unwrap_or_default();
        Macro { params: None, variadic: false, body: trim(&body).to_vec(), span: Span::default() }
    }

    pub fn same(&self, other: &Macro) -> bool {
        let words = |m: &Macro| m.body.iter().map(|t| t.text.to_string()).collect::<Vec<_>>();
        self.params == other.params && self.variadic == other.variadic && words(self) == words(other)
    }
}

fn trim(tokens: &[Token]) -> &[Token] {
    let start = tokens.iter().position(|t| !t.is_blank()).unwrap_or(tokens.len());
    let end = tokens.iter().rposition(|t| !t.is_blank()).map_or(start, |e| e + 1);
    &tokens[start..end]
}

#[derive(Default)]
pub(super) struct Macros {
    pub table: HashMap<Rc<str>, Rc<Macro>>,
    spent: usize,
}

/// The arguments of one call, as written and fully expanded.
struct Argument {
    raw: Vec<Token>,
    expanded: Vec<Token>,
}

impl Macros {
    pub fn expand(&mut self, tokens: Vec<Token>) -> Res<Vec<Token>> {
        self.expand_nested(tokens, 0)
    }

    fn expand_nested(&mut self, mut input: Vec<Token>, depth: u32) -> Res<Vec<Token>> {
        let mut out = Vec::with_capacity(input.len());
        // A stack whose top is the next token.
        input.reverse();
        while let Some(token) = input.pop() {
            self.spend(1, token.span)?;
            let name = &token.text;
            if token.kind != Kind::Ident || token.hides(name) {
                out.push(token);
                continue;
            }
            let Some(definition) = self.table.get(name).cloned() else {
                out.push(token);
                continue;
            };
            let level = token.hide.as_ref().map_or(0, |h| h.depth) + 1;
            if level + depth > MAX_DEPTH {
                return Err(fault(
                    token.span,
                    format!("macro `{name}` expands through more than {MAX_DEPTH} others"),
                )
                .note(definition.span, "defined here"));
            }
            let hide = Rc::new(Hide { name: name.clone(), next: token.hide.clone(), depth: level });
            let replacement = match &definition.params {
                None => self.substitute(&definition, &[], &token, &hide)?,
                Some(params) => {
                    let open = input.iter().rposition(|t| !t.is_blank());
                    let Some(open) = open.filter(|&i| input[i].is("(")) else {
                        out.push(token);
                        continue;
                    };
                    input.truncate(open);
                    let args = self.arguments(&mut input, &token, &definition, params, depth)?;
                    self.substitute(&definition, &args, &token, &hide)?
                }
            };
            self.spend(replacement.len(), token.span)?;
            input.extend(replacement.into_iter().rev());
        }
        Ok(out)
    }

    fn spend(&mut self, tokens: usize, span: Span) -> Res<()> {
        self.spent += tokens;
        if self.spent > MAX_TOKENS {
            return Err(fault(span, format!("macros expand to more than {MAX_TOKENS} tokens"))
                .help("look for macros that name each other several times"));
        }
        Ok(())
    }

    /// Takes the arguments up to the closing parenthesis off `input`.
    fn arguments(
        &mut self,
        input: &mut Vec<Token>,
        call: &Token,
        definition: &Macro,
        params: &[Rc<str>],
        depth: u32,
    ) -> Res<Vec<Argument>> {
        let mut args: Vec<Vec<Token>> = vec![Vec::new()];
        let mut nesting = 0;
        loop {
            let Some(token) = input.pop() else {
                return Err(fault(call.span, format!("the call of macro `{}` is never closed", call.text))
                    .help("add the missing `)`")
                    .note(definition.span, "the macro is defined here"));
            };
            if token.is(")") && nesting == 0 {
                break;
            }
            nesting += token.is("(") as i32 - token.is(")") as i32;
            let last = args.len() - 1;
            if token.is(",") && nesting == 0 && !(definition.variadic && last + 1 == params.len()) {
                args.push(Vec::new());
            } else {
                args[last].push(token);
            }
        }
        if params.is_empty() && args.len() == 1 && args[0].iter().all(Token::is_blank) {
            args.clear();
        }
        if definition.variadic && args.len() + 1 == params.len() {
            args.push(Vec::new());
        }
        if args.len() != params.len() {
            return Err(fault(
                call.span,
                format!("macro `{}` takes {} arguments, not {}", call.text, params.len(), args.len()),
            )
            .note(definition.span, "the macro is defined here"));
        }
        args.into_iter()
            .map(|raw| {
                let raw = trim(&raw).to_vec();
                let expanded = self.expand_nested(raw.clone(), depth + 1)?;
                Ok(Argument { raw, expanded })
            })
            .collect()
    }

    fn substitute(&self, m: &Macro, args: &[Argument], call: &Token, hide: &Rc<Hide>) -> Res<Vec<Token>> {
        let params = m.params.as_deref().unwrap_or(&[]);
        let argument = |t: &Token| {
            (t.kind == Kind::Ident)
                .then(|| params.iter().position(|p| *p == t.text))
                .flatten()
                .and_then(|i| args.get(i))
        };
        let mut out: Vec<Token> = Vec::new();
        let mut paste = false;
        let mut at = 0;
        while let Some(token) = m.body.get(at) {
            at += 1;
            let next_word = m.body[at..].iter().position(|t| !t.is_blank()).map(|i| at + i);
            // `##`: glue the last token to the next.
            if token.is("#") && m.body.get(at).is_some_and(|t| t.is("#")) && !out.is_empty() {
                at += 1;
                while out.last().is_some_and(Token::is_blank) {
                    out.pop();
                }
                paste = true;
                continue;
            }
            if paste && token.is_blank() {
                continue;
            }
            // `#param`: the argument as a string.
            if token.is("#")
                && let Some(next) = next_word
                && let Some(arg) = argument(&m.body[next])
            {
                let mut text = String::from("\"");
                for t in &arg.raw {
                    match t.kind {
                        Kind::Literal => text.extend(t.text.chars().flat_map(|c| {
                            let escape = matches!(c, '"' | '\\').then_some('\\');
                            escape.into_iter().chain([c])
                        })),
                        Kind::Newline => text.push(' '),
                        _ => text.push_str(&t.text),
                    }
                }
                text.push('"');
                out.push(Token { kind: Kind::Literal, text: text.into(), ..made(token, call, m, hide) });
                at = next + 1;
                paste = false;
                continue;
            }
            let before_paste =
                next_word.is_some_and(|i| m.body[i].is("#") && m.body.get(i + 1).is_some_and(|t| t.is("#")));
            let mut piece = match argument(token) {
                Some(arg) => {
                    let tokens = if paste || before_paste { &arg.raw } else { &arg.expanded };
                    let hidden = |t: &Token| Token { hide: joined(t, hide), ..t.clone() };
                    tokens.iter().map(hidden).collect()
                }
                None => vec![made(token, call, m, hide)],
            };
            // GNU's `, ##__VA_ARGS__`: the comma goes where there are no arguments.
            let rest = m.variadic && params.last().is_some_and(|p| *p == token.text);
            if paste && rest && out.last().is_some_and(|t| t.is(",")) {
                if piece.is_empty() {
                    out.pop();
                }
                paste = false;
            }
            if paste
                && let Some(last) = out.last_mut()
                && !piece.is_empty()
            {
                let first = piece.remove(0);
                last.text = format!("{}{}", last.text, first.text).into();
                last.kind = match last.text.chars().next() {
                    Some(c) if c.is_ascii_digit() => Kind::Number,
                    Some(c) if is_ident(c) => Kind::Ident,
                    _ => last.kind,
                };
            }
            paste = false;
            out.extend(piece);
        }
        Ok(out)
    }
}

/// A token of the body, placed where the macro is called.
fn made(token: &Token, call: &Token, m: &Macro, hide: &Rc<Hide>) -> Token {
    let made_by = call.made_by.or(Some(m.span));
    Token { kind: token.kind, text: token.text.clone(), span: call.span, made_by, hide: Some(hide.clone()) }
}

/// What an argument's token must not expand, with the macro it was passed to.
fn joined(token: &Token, hide: &Rc<Hide>) -> Option<Rc<Hide>> {
    match &token.hide {
        None => Some(hide.clone()),
        Some(own) => Some(Rc::new(Hide {
            name: hide.name.clone(),
            next: Some(own.clone()),
            depth: own.depth.max(hide.depth),
        })),
    }
}
