//! Integer expressions, shared by `#if` (signed) and by cells (unsigned): all operators of C and `?:`.

use crate::{
    error::{Res, fault},
    source::Span,
};

/// Nested parentheses, prefixes and conditionals beyond this are refused, so that no input can exhaust the stack.
const MAX_DEPTH: u32 = 128;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Term {
    Number(u64),
    Op(&'static str),
}

/// Longest first, so that the first match is the token.
const OPERATORS: [&str; 24] = [
    "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "%", "<", ">", "!", "~", "&", "^",
    "|", "?", ":", "(", ")",
];

/// The operator that `text` starts with.
pub(super) fn operator(text: &str) -> Option<&'static str> {
    OPERATORS.into_iter().find(|op| text.starts_with(op))
}

/// An integer literal of C: decimal, octal or hexadecimal, with a suffix. `Err` says what is wrong with it.
pub(super) fn integer(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    if !matches!(
        text[digits.len()..].to_ascii_uppercase().as_str(),
        "" | "U" | "L" | "UL" | "LL" | "ULL" | "LU" | "LLU"
    ) {
        return Err(format!("`{text}` has an unknown suffix"));
    }
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    match u64::from_str_radix(digits, radix) {
        Ok(value) if !digits.starts_with('+') => Ok(value),
        Err(e) if *e.kind() == std::num::IntErrorKind::PosOverflow => {
            Err(format!("`{text}` does not fit in 64 bits"))
        }
        _ => Err(format!("`{text}` is not a number")),
    }
}

/// Evaluates all of `terms`; `end` is where an error about a missing operand points.
pub(super) fn evaluate(terms: &[(Term, Span)], end: Span, signed: bool) -> Res<u64> {
    let mut e = Evaluator { terms, at: 0, end, signed };
    let value = e.conditional(0, true)?;
    match e.terms.get(e.at) {
        None => Ok(value),
        Some(&(term, span)) => Err(fault(
            span,
            match term {
                Term::Number(_) => "expected an operator, found a number".to_string(),
                Term::Op(op) => format!("expected an operator, found `{op}`"),
            },
        )),
    }
}

/// Binary operators by binding strength, weakest first.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

struct Evaluator<'a> {
    terms: &'a [(Term, Span)],
    at: usize,
    end: Span,
    signed: bool,
}

impl Evaluator<'_> {
    fn op(&self) -> Option<&'static str> {
        match self.terms.get(self.at) {
            Some(&(Term::Op(op), _)) => Some(op),
            _ => None,
        }
    }

    fn span(&self) -> Span {
        self.terms.get(self.at).map_or(self.end, |t| t.1)
    }

    fn take(&mut self, op: &str) -> bool {
        let found = self.op() == Some(op);
        self.at += found as usize;
        found
    }

    /// `live` is false in operands that C does not evaluate, where a division by zero is no mistake.
    fn conditional(&mut self, depth: u32, live: bool) -> Res<u64> {
        if depth > MAX_DEPTH {
            return Err(fault(self.span(), "this expression is nested too deeply"));
        }
        let condition = self.binary(0, depth, live)?;
        if !self.take("?") {
            return Ok(condition);
        }
        let yes = self.conditional(depth + 1, live && condition != 0)?;
        if !self.take(":") {
            return Err(fault(self.span(), "expected `:` of this conditional expression"));
        }
        let no = self.conditional(depth + 1, live && condition == 0)?;
        Ok(if condition != 0 { yes } else { no })
    }

    fn binary(&mut self, level: usize, depth: u32, live: bool) -> Res<u64> {
        let Some(ops) = LEVELS.get(level) else { return self.unary(depth, live) };
        let mut left = self.binary(level + 1, depth, live)?;
        while let Some(op) = self.op().filter(|op| ops.contains(op)) {
            let span = self.span();
            self.at += 1;
            let live = live
                && match op {
                    "&&" => left != 0,
                    "||" => left == 0,
                    _ => true,
                };
            let right = self.binary(level + 1, depth, live)?;
            left = self.apply(op, left, right, live, span)?;
        }
        Ok(left)
    }

    fn apply(&self, op: &str, a: u64, b: u64, live: bool, span: Span) -> Res<u64> {
        let (sa, sb) = (a as i64, b as i64);
        let signed = self.signed;
        Ok(match op {
            "||" => (a != 0 || b != 0) as u64,
            "&&" => (a != 0 && b != 0) as u64,
            "|" => a | b,
            "^" => a ^ b,
            "&" => a & b,
            "==" => (a == b) as u64,
            "!=" => (a != b) as u64,
            "<" => (if signed { sa < sb } else { a < b }) as u64,
            ">" => (if signed { sa > sb } else { a > b }) as u64,
            "<=" => (if signed { sa <= sb } else { a <= b }) as u64,
            ">=" => (if signed { sa >= sb } else { a >= b }) as u64,
            "<<" => a.checked_shl(b.min(64) as u32).unwrap_or(0),
            ">>" if signed => (sa >> b.min(63)) as u64,
            ">>" => a.checked_shr(b.min(64) as u32).unwrap_or(0),
            "+" => a.wrapping_add(b),
            "-" => a.wrapping_sub(b),
            "*" => a.wrapping_mul(b),
            _ if b == 0 && !live => 0,
            _ if b == 0 => return Err(fault(span, "division by zero")),
            "/" if signed => sa.wrapping_div(sb) as u64,
            "/" => a / b,
            _ if signed => sa.wrapping_rem(sb) as u64,
            _ => a % b,
        })
    }

    fn unary(&mut self, depth: u32, live: bool) -> Res<u64> {
        if depth > MAX_DEPTH {
            return Err(fault(self.span(), "this expression is nested too deeply"));
        }
        let span = self.span();
        match self.terms.get(self.at).map(|t| t.0) {
            Some(Term::Number(value)) => {
                self.at += 1;
                Ok(value)
            }
            Some(Term::Op(op @ ("-" | "~" | "!" | "+"))) => {
                self.at += 1;
                let value = self.unary(depth + 1, live)?;
                Ok(match op {
                    "-" => value.wrapping_neg(),
                    "~" => !value,
                    "!" => (value == 0) as u64,
                    _ => value,
                })
            }
            Some(Term::Op("(")) => {
                self.at += 1;
                let value = self.conditional(depth + 1, live)?;
                if !self.take(")") {
                    return Err(fault(self.span(), "expected `)`").note(span, "to close this `(`"));
                }
                Ok(value)
            }
            Some(Term::Op(op)) => Err(fault(span, format!("expected a number or `(`, found `{op}`"))),
            None => Err(fault(span, "expected a number or `(` here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(text: &str, signed: bool) -> Result<u64, String> {
        let mut terms = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let len = match operator(rest) {
                Some(op) => {
                    terms.push((Term::Op(op), Span::default()));
                    op.len()
                }
                None => {
                    let len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                    terms.push((Term::Number(integer(&rest[..len])?), Span::default()));
                    len
                }
            };
            rest = rest[len..].trim_start();
        }
        evaluate(&terms, Span::default(), signed).map_err(|f| format!("{f:?}"))
    }

    #[test]
    fn precedence_is_that_of_c() {
        assert_eq!(eval("1 + 2 * 3 << 1 | 1", false), Ok(15));
        assert_eq!(eval("1 ? 2 : 0 ? 3 : 4", false), Ok(2));
        assert_eq!(eval("0 ? 2 : 0 ? 3 : 4", false), Ok(4));
        assert_eq!(eval("10 - 3 - 2", false), Ok(5));
        assert_eq!(eval("1 == 1 & 2", false), Ok(0));
        assert_eq!(eval("!0 + ~0 + 0x10 - 010", false), Ok(8));
    }

    #[test]
    fn signedness_follows_the_caller() {
        assert_eq!(eval("-1 < 0", true), Ok(1));
        assert_eq!(eval("-1 < 0", false), Ok(0));
        assert_eq!(eval("-1 >> 63", false), Ok(1));
        assert_eq!(eval("1 << 64", false), Ok(0));
        assert_eq!(eval("(0 - 0x7fffffffffffffff - 1) / -1", true), Ok(1 << 63));
    }

    #[test]
    fn mistakes_are_errors() {
        assert!(eval("1 / 0", false).is_err());
        assert_eq!(eval("0 && 1 / 0", true), Ok(0));
        assert!(eval("1 +", false).is_err());
        assert!(eval("1 2", false).is_err());
        assert!(eval(&"(".repeat(100_000), false).is_err());
        assert!(eval(&"-".repeat(100_000), false).is_err());
        assert!(integer("99999999999999999999").is_err());
        assert!(integer("0x").is_err());
        assert!(integer("08").is_err());
    }
}
