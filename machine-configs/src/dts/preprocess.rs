//! Directives and includes: turns a file and all it includes into one text whose every byte knows where it came from.

use std::{collections::HashSet, rc::Rc};

use super::{
    expr::{self, Term},
    macros::{Macro, Macros},
    pptoken::{Kind, Token, is_ident, tokenize},
};
use crate::{
    error::{Res, fault},
    source::{SearchPath, SourceMap, Span},
};

const MAX_INCLUDE_DEPTH: u32 = 64;
const MAX_INCLUDES: usize = 4096;
const MAX_TEXT: usize = 16 << 20;

/// Preprocessed text with the origin of every part.
#[derive(Default)]
pub(super) struct Text {
    pub text: String,
    origins: Vec<Origin>,
}

struct Origin {
    /// Where the part starts in `Text::text`.
    at: u32,
    span: Span,
    /// Made by a macro: all of the part comes from all of `span`.
    made: bool,
}

impl Text {
    /// The source of bytes `start..end`.
    pub fn origin(&self, start: usize, end: usize) -> Span {
        let find = |at: usize| {
            let i = self.origins.partition_point(|o| o.at as usize <= at).checked_sub(1)?;
            let Origin { at: origin, span, made } = self.origins[i];
            let into = if made { 0 } else { (at - origin as usize) as u32 };
            let point = (span.start + into).min(span.end);
            Some((Span { start: point, ..span }, made))
        };
        let Some((first, made)) = find(start) else { return Span::default() };
        match find(end.max(start + 1) - 1) {
            Some((last, false)) if !made && last.file == first.file && last.start >= first.start => {
                Span { end: (last.start + 1).min(last.end), ..first }
            }
            _ => first,
        }
    }

    fn push(&mut self, token: &Token) -> Res<()> {
        // Two names that a macro brought together stay two names.
        let glued = self.text.chars().next_back().is_some_and(is_ident)
            && matches!(token.kind, Kind::Ident | Kind::Number);
        if glued {
            self.text.push(' ');
        }
        let at = self.text.len() as u32;
        let linear = |o: &Origin| {
            !o.made
                && token.made_by.is_none()
                && o.span.file == token.span.file
                && o.span.end == token.span.start
                && o.span.end - o.span.start == at - o.at
        };
        match self.origins.last_mut() {
            Some(last) if linear(last) => last.span.end = token.span.end,
            _ => self.origins.push(Origin { at, span: token.span, made: token.made_by.is_some() }),
        }
        self.text.push_str(&token.text);
        if self.text.len() > MAX_TEXT {
            return Err(fault(token.span, format!("the preprocessed source exceeds {} MiB", MAX_TEXT >> 20)));
        }
        Ok(())
    }
}

/// Preprocesses `file` and all that it includes.
pub(super) fn preprocess(map: &mut SourceMap, file: u32, search: &SearchPath) -> Res<Text> {
    let mut macros = Macros::default();
    macros.table.insert("__DTS__".into(), Rc::new(Macro::object("1")));
    let mut p = Preprocessor { map, search, macros, out: Text::default(), once: HashSet::new(), includes: 0 };
    p.file(file, 0)?;
    Ok(p.out)
}

struct Preprocessor<'a> {
    map: &'a mut SourceMap,
    search: &'a SearchPath,
    macros: Macros,
    out: Text,
    /// Names of files with `#pragma once`.
    once: HashSet<String>,
    includes: usize,
}

/// One open `#if`.
struct Conditional {
    span: Span,
    active: bool,
    /// Whether a branch has been chosen already.
    taken: bool,
    /// Whether the whole lies in an active part.
    outer: bool,
    seen_else: bool,
}

const DIRECTIVES: [&str; 14] = [
    "define", "undef", "include", "if", "ifdef", "ifndef", "elif", "else", "endif", "error", "warning",
    "pragma", "line", "ident",
];

/// The directive that `line` is, and what follows its name.
fn directive(line: &[Token]) -> Option<(&Token, &[Token])> {
    let hash = line.iter().position(|t| t.kind != Kind::Space)?;
    if !line[hash].is("#") {
        return None;
    }
    let name = hash + 1 + line[hash + 1..].iter().position(|t| t.kind != Kind::Space)?;
    let token = &line[name];
    let spaced = name > hash + 1;
    match token.kind {
        // A line marker of another preprocessor: `# 1 "file"`.
        Kind::Number if spaced => Some((token, &[])),
        Kind::Ident if DIRECTIVES.contains(&&*token.text) => {
            // `#if-name` and the like are property names.
            let next = line.get(name + 1);
            let is_name = next.is_some_and(|t| {
                t.kind == Kind::Punct
                    && matches!(&*t.text, "-" | "," | "." | "+" | "*" | "?" | "@" | "#" | "=" | ";")
            });
            (!is_name).then(|| (token, &line[name + 1..]))
        }
        _ => None,
    }
}

impl Preprocessor<'_> {
    fn file(&mut self, file: u32, depth: u32) -> Res<()> {
        let text = match self.map.files().get(file as usize) {
            Some(f) => f.text.clone(),
            None => return Ok(()),
        };
        let tokens = tokenize(file, &text)?;
        let mut open: Vec<Conditional> = Vec::new();
        let mut pending: Vec<Token> = Vec::new();
        for line in tokens.split_inclusive(|t| t.kind == Kind::Newline) {
            let active = open.last().is_none_or(|c| c.active);
            let Some((name, rest)) = directive(line) else {
                if active {
                    pending.extend_from_slice(line);
                }
                continue;
            };
            if active {
                self.text(std::mem::take(&mut pending), file, depth)?;
            }
            let rest = match rest.iter().rposition(|t| !t.is_blank()) {
                Some(last) => &rest[..=last],
                None => &[],
            };
            match &*name.text {
                "if" | "ifdef" | "ifndef" => {
                    let value = active && self.condition(name, rest)?;
                    open.push(Conditional {
                        span: name.span,
                        active: value,
                        taken: value,
                        outer: active,
                        seen_else: false,
                    });
                }
                "elif" | "else" | "endif" => {
                    let Some(top) = open.last_mut() else {
                        return Err(fault(name.span, format!("`#{}` without `#if`", name.text)));
                    };
                    if &*name.text == "endif" {
                        open.pop();
                        continue;
                    }
                    if top.seen_else {
                        return Err(fault(name.span, format!("`#{}` after `#else`", name.text))
                            .note(top.span, "of this conditional"));
                    }
                    top.seen_else = &*name.text == "else";
                    top.active = false;
                    if top.outer && !top.taken {
                        let value = &*name.text == "else" || self.condition(name, rest)?;
                        if let Some(top) = open.last_mut() {
                            (top.active, top.taken) = (value, value);
                        }
                    }
                }
                _ if active => self.directive(name, rest, depth)?,
                _ => {}
            }
        }
        if let Some(top) = open.last() {
            return Err(fault(top.span, "this conditional is never closed").help("add `#endif`"));
        }
        self.text(pending, file, depth)
    }

    fn directive(&mut self, name: &Token, rest: &[Token], depth: u32) -> Res<()> {
        let first = rest.iter().position(|t| !t.is_blank());
        let words = &rest[first.unwrap_or(rest.len())..];
        match &*name.text {
            "define" | "undef" => {
                let Some(target) = words.first().filter(|t| t.kind == Kind::Ident) else {
                    return Err(fault(name.span, format!("expected a name after `#{}`", name.text)));
                };
                if &*name.text == "undef" {
                    self.macros.table.remove(&target.text);
                    return Ok(());
                }
                if &*target.text == "defined" {
                    return Err(fault(target.span, "`defined` cannot be a macro"));
                }
                let definition = Macro::parse(target.span, &words[1..])?;
                if let Some(old) = self.macros.table.get(&target.text)
                    && !old.same(&definition)
                {
                    return Err(fault(
                        target.span,
                        format!("macro `{}` is defined again, differently", target.text),
                    )
                    .help("`#undef` it first, or use another name")
                    .note(old.span, "first defined here"));
                }
                self.macros.table.insert(target.text.clone(), Rc::new(definition));
            }
            "include" => {
                let mut words = words.to_vec();
                if words.first().is_some_and(|t| t.kind == Kind::Ident) {
                    words = self.macros.expand(words)?;
                }
                let text: String = words.iter().map(|t| &*t.text).collect();
                let span = words.first().map_or(name.span, |t| t.span.to(words[words.len() - 1].span));
                let quoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
                let angled = text.strip_prefix('<').and_then(|t| t.strip_suffix('>'));
                let Some(path) = quoted.or(angled) else {
                    return Err(fault(span, "expected \"file\" or <file> after `#include`"));
                };
                self.include(path, span, quoted.is_some(), depth)?;
            }
            "error" => {
                let text: String = words.iter().map(|t| &*t.text).collect();
                return Err(fault(name.span, format!("#error {text}")));
            }
            "pragma" if words.first().is_some_and(|t| &*t.text == "once") => {
                if let Some(file) = self.map.file(name.span) {
                    self.once.insert(file.name.clone());
                }
            }
            // Warnings, other pragmas and line markers change nothing in the tree.
            _ => {}
        }
        Ok(())
    }

    fn include(&mut self, path: &str, span: Span, quoted: bool, depth: u32) -> Res<()> {
        self.includes += 1;
        if depth + 1 > MAX_INCLUDE_DEPTH {
            return Err(fault(span, format!("includes are nested more than {MAX_INCLUDE_DEPTH} deep"))
                .help("a file probably includes itself: guard it with `#ifndef`"));
        }
        if self.includes > MAX_INCLUDES {
            return Err(fault(span, format!("more than {MAX_INCLUDES} includes")));
        }
        let found = self
            .search
            .find(path, self.map.file(span), quoted)
            .map_err(|why| fault(span, format!("cannot include `{path}`")).help(why))?;
        if self.once.contains(found.name()) {
            return Ok(());
        }
        let file = found
            .into_source(self.map, Some(span))
            .map_err(|at| fault(span, format!("`{path}` is not text: byte {at} is not UTF-8")))?;
        self.file(file, depth + 1)
    }

    /// Expands text between directives, and follows `/include/`.
    fn text(&mut self, tokens: Vec<Token>, file: u32, depth: u32) -> Res<()> {
        let is_include = |w: &[Token]| w[0].is("/") && &*w[1].text == "include" && w[2].is("/");
        let mut rest = tokens;
        while let Some(at) = rest.windows(3).position(is_include) {
            let after = rest.split_off(at);
            self.emit(rest)?;
            let Some(word) = after[3..].iter().position(|t| !t.is_blank()) else {
                return Err(fault(after[0].span.to(after[2].span), "expected \"file\" after `/include/`"));
            };
            let name = &after[3 + word];
            let Some(path) = name.text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
                return Err(fault(name.span, "expected \"file\" after `/include/`"));
            };
            debug_assert_eq!(name.span.file, file);
            self.include(path, name.span, true, depth)?;
            rest = after[3 + word + 1..].to_vec();
        }
        self.emit(rest)
    }

    fn emit(&mut self, tokens: Vec<Token>) -> Res<()> {
        for token in self.macros.expand(tokens)? {
            if let Some(definition) = token.made_by {
                self.map.add_call(token.span, definition);
            }
            self.out.push(&token)?;
        }
        Ok(())
    }

    fn condition(&mut self, name: &Token, rest: &[Token]) -> Res<bool> {
        let words: Vec<&Token> = rest.iter().filter(|t| !t.is_blank()).collect();
        if let "ifdef" | "ifndef" = &*name.text {
            let Some(target) = words.first().filter(|t| t.kind == Kind::Ident) else {
                return Err(fault(name.span, format!("expected a name after `#{}`", name.text)));
            };
            return Ok(self.macros.table.contains_key(&target.text) == (&*name.text == "ifdef"));
        }
        // `defined NAME` and `defined(NAME)` look at the name before it is expanded.
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(&word) = words.get(at) {
            at += 1;
            if &*word.text != "defined" {
                tokens.push(word.clone());
                continue;
            }
            let parens = words.get(at).is_some_and(|t| t.is("("));
            at += parens as usize;
            let target = words.get(at).filter(|t| t.kind == Kind::Ident);
            let closed = !parens || words.get(at + 1).is_some_and(|t| t.is(")"));
            let (Some(target), true) = (target, closed) else {
                return Err(fault(word.span, "expected `defined NAME` or `defined(NAME)`"));
            };
            at += 1 + parens as usize;
            let value = self.macros.table.contains_key(&target.text);
            tokens.push(Token::new(Kind::Number, if value { "1" } else { "0" }, word.span));
        }
        let tokens = self.macros.expand(tokens)?;
        let mut terms = Vec::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let mut used = 1;
            match token.kind {
                Kind::Space | Kind::Newline => {}
                Kind::Ident => terms.push((Term::Number(0), token.span)),
                Kind::Number => {
                    terms.push((
                        Term::Number(expr::integer(&token.text).map_err(|e| fault(token.span, e))?),
                        token.span,
                    ));
                }
                Kind::Literal => {
                    return Err(fault(token.span, "expected a number: text cannot be compared in `#if`"));
                }
                Kind::Punct => {
                    // Operators of two characters are two tokens here.
                    let mut text = token.text.to_string();
                    if let Some(next) = tokens.get(at + 1).filter(|t| t.kind == Kind::Punct) {
                        text.push_str(&next.text);
                    }
                    let Some(op) = expr::operator(&text) else {
                        return Err(fault(token.span, format!("`{}` is no operator", token.text)));
                    };
                    used = op.len();
                    terms.push((Term::Op(op), token.span));
                }
            }
            at += used;
        }
        let end = rest.last().map_or(name.span, |t| t.span);
        Ok(expr::evaluate(&terms, end, true)? != 0)
    }
}
