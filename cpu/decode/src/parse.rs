//! Reads `*.insn` text. The grammar is described in the crate documentation.

use std::path::Path;

use crate::table::*;

/// Adds the lines of one file to the table. Lines may use only what stands above them.
pub fn parse(table: &mut Table, file: &Path, text: &str) -> Result<(), Error> {
    for (index, line) in text.lines().enumerate() {
        let pos = Pos { file: file.to_path_buf(), line: index + 1 };
        // A lone `#` starts a comment, so that assembly text can hold `#{imm}`.
        let tokens: Vec<&str> = line.split_whitespace().take_while(|t| *t != "#").collect();
        if tokens.is_empty() {
            continue;
        }
        let result = if tokens.contains(&"|") {
            instruction(table, &tokens, &pos).map(|insn| table.insns.push(insn))
        } else {
            directive(table, &tokens)
        };
        result.map_err(|message| Error { pos, message })?;
    }
    Ok(())
}

fn directive(table: &mut Table, tokens: &[&str]) -> Result<(), String> {
    match tokens {
        ["operand", names @ .., ":", ty] => operands(table, names, ty, None),
        ["operand", names @ .., ":", ty, format] => operands(table, names, ty, Some(format)),
        ["feature", names @ ..] => {
            for name in names {
                unique(name, &table.features, "feature")?;
                table.features.push((*name).to_string());
            }
            if table.features.len() > 128 { Err("more than 128 features".into()) } else { Ok(()) }
        }
        ["exclusive", names @ ..] => {
            let mut mask = 0;
            for name in names {
                mask |= 1u128 << find(name, &table.features, "feature")?;
            }
            table.exclusive.push(mask);
            Ok(())
        }
        ["flag", names @ ..] => {
            for name in names {
                unique(name, &table.flags, "flag")?;
                table.flags.push((*name).to_string());
            }
            if table.flags.len() > 32 { Err("more than 32 flags".into()) } else { Ok(()) }
        }
        ["length", "32", "if", patterns @ .., "else", "16"] => {
            let (high, patterns) = match patterns {
                ["high", rest @ ..] => (true, rest),
                all => (false, all),
            };
            let mut list = Vec::new();
            for pattern in patterns {
                let (mask, value) = literal(pattern)
                    .filter(|_| pattern.len() <= 16)
                    .ok_or("the patterns must be of 0, 1 and -, at most 16")?;
                let shift = if high { 16 - pattern.len() } else { 0 };
                list.push((mask << shift, value << shift));
            }
            if list.is_empty() || table.length.replace(Length { high, patterns: list }).is_some() {
                return Err("`length` needs a pattern, and is given once".into());
            }
            Ok(())
        }
        ["field", range, attributes @ .., "->", slot] => field(table, range, attributes, slot),
        _ => Err(format!(
            "`{}` is neither an instruction (columns separated by ` | `) nor a well-formed directive \
             (operand, feature, exclusive, flag, length, field)",
            tokens.join(" ")
        )),
    }
}

fn operands(table: &mut Table, names: &[&str], ty: &str, format: Option<&str>) -> Result<(), String> {
    let ty = match ty {
        "u8" => SlotType::U8,
        "i32" => SlotType::I32,
        _ => return Err(format!("operand type `{ty}` is not u8 or i32")),
    };
    for name in names {
        if table.slots.iter().any(|s| s.name == *name) {
            return Err(format!("operand `{name}` is declared twice"));
        }
        identifier(name)?;
        table.slots.push(Slot { name: (*name).into(), ty, format: format.map(str::to_string) });
    }
    Ok(())
}

/// `field NAME[HI:LO] [signed] [+N] [map=a,b,..] [via=f] -> SLOT`
fn field(table: &mut Table, range: &str, attributes: &[&str], slot: &str) -> Result<(), String> {
    let (name, bits) = slices(range)?;
    let [(hi, lo)] = bits[..] else { return Err(format!("`{range}` is not NAME[HI:LO]")) };
    if table.fields.iter().any(|f| f.name == name) {
        return Err(format!("field `{name}` is declared twice"));
    }
    if literal(name).is_some() {
        return Err(format!("`{name}` reads as fixed bits, not as a field name"));
    }
    let slot = table
        .slots
        .iter()
        .position(|s| s.name == slot)
        .ok_or_else(|| format!("`{slot}` is not a declared operand"))?;
    let mut field = Field {
        name: name.into(),
        hi,
        lo,
        signed: false,
        add: 0,
        map: None,
        via: None,
        not: Vec::new(),
        slot,
    };
    for attribute in attributes {
        if *attribute == "signed" {
            field.signed = true;
        } else if let Some(n) = attribute.strip_prefix('+') {
            field.add = number(n)?;
        } else if let Some(list) = attribute.strip_prefix("map=") {
            let values = list.split(',').map(number).collect::<Result<Vec<_>, _>>()?;
            if field.width() > 8 || values.len() != 1 << field.width() {
                return Err(format!("`map` needs exactly one value per encoding of {} bits", field.width()));
            }
            field.map = Some(values);
        } else if let Some(name) = attribute.strip_prefix("via=") {
            identifier(name)?;
            field.via = Some(name.into());
        } else if let Some(list) = attribute.strip_prefix("not=") {
            for value in list.split(',') {
                let value = number(value)?;
                field.not.push(u32::try_from(value).map_err(|_| format!("`{value}` is out of range"))?);
            }
        } else {
            return Err(format!(
                "`{attribute}` is not `signed`, `+N`, `not=a,b,..`, `map=a,b,..` or `via=f`"
            ));
        }
    }
    if field.map.is_some() && (field.signed || field.add != 0 || lo != 0) {
        return Err("`map` stands alone: no `signed`, no `+N`, lowest bit 0".into());
    }
    if field.via.is_some() && (field.map.is_some() || field.signed || field.add != 0) {
        return Err("`via` stands alone: no `signed`, no `+N`, no `map`".into());
    }
    if table.slots[slot].ty == SlotType::U8 && (field.signed || field.hi > 7) {
        return Err(format!("field `{name}` does not fit its operand, which is a u8"));
    }
    table.fields.push(field);
    Ok(())
}

fn instruction(table: &Table, tokens: &[&str], pos: &Pos) -> Result<Insn, String> {
    let columns: Vec<&[&str]> = tokens.split(|t| *t == "|").collect();
    let (names, features, encoding, call, asm, notes) = match columns[..] {
        [n, f, e, c, a] => (n, f, e, c, a, &[][..]),
        [n, f, e, c, a, x] => (n, f, e, c, a, x),
        _ => {
            return Err(format!(
                "an instruction has 5 or 6 columns (name | features | encoding | call | assembly | notes), \
                 this line has {}",
                columns.len()
            ));
        }
    };
    let [name] = names else { return Err("the first column must be one name".into()) };
    let (name, mnemonic) = name.split_once('=').unwrap_or((name, name));
    if let Some(other) = table.insns.iter().find(|i| i.name == name) {
        return Err(format!(
            "instruction `{name}` is declared twice, first at {}:{}",
            other.pos.file.display(),
            other.pos.line
        ));
    }
    let mut insn = Insn {
        pos: pos.clone(),
        name: name.into(),
        mnemonic: mnemonic.into(),
        features: expression(table, features)?,
        width: 0,
        mask: 0,
        value: 0,
        pieces: Vec::new(),
        function: name.into(),
        args: Vec::new(),
        asm: assembly(table, &asm.join(" "))?,
        constraints: Vec::new(),
        over: Vec::new(),
        flags: 0,
    };
    encode(table, encoding, &mut insn)?;
    let args = match call {
        ["=>", function, args @ ..] => {
            insn.function = (*function).into();
            args
        }
        args => args,
    };
    for arg in args {
        insn.args.push(match table.slots.iter().position(|s| s.name == *arg) {
            Some(slot) => Arg::Slot(slot),
            None => Arg::Number(
                number(arg).map_err(|_| format!("argument `{arg}` is neither an operand nor a number"))?,
            ),
        });
    }
    read_notes(table, notes, &mut insn)?;
    defined(table, &insn)?;
    Ok(insn)
}

/// The encoding column: fixed bits, fields and slices of fields from the highest bit down.
fn encode(table: &Table, encoding: &[&str], insn: &mut Insn) -> Result<(), String> {
    // Width first: pieces are placed from the top.
    let mut parts = Vec::new();
    for token in encoding {
        if let Some((mask, value)) = literal(token) {
            parts.push((token.len() as u32, mask, value, None));
            continue;
        }
        let (name, bits) = if token.contains('[') { slices(token)? } else { (*token, Vec::new()) };
        let index = table
            .fields
            .iter()
            .position(|f| f.name == name)
            .ok_or_else(|| format!("field `{name}` is not declared"))?;
        let field = &table.fields[index];
        let bits = if bits.is_empty() { vec![(field.hi, field.lo)] } else { bits };
        for (hi, lo) in bits {
            if hi > field.hi || lo < field.lo {
                return Err(format!("`{token}` leaves the field, which is [{}:{}]", field.hi, field.lo));
            }
            parts.push((hi - lo + 1, 0, 0, Some((index, lo))));
        }
    }
    insn.width = parts.iter().map(|p| p.0).sum();
    if insn.width != 16 && insn.width != 32 {
        return Err(format!("the encoding has {} bits, not 16 or 32", insn.width));
    }
    let mut at = insn.width;
    for (len, mask, value, piece) in parts {
        at -= len;
        insn.mask |= mask << at;
        insn.value |= value << at;
        if let Some((field, field_lo)) = piece {
            insn.pieces.push(Piece { field, field_lo, word_lo: at, len });
        }
    }
    for field in insn.fields() {
        let declared = &table.fields[field];
        let mut seen = 0u32;
        for p in insn.pieces.iter().filter(|p| p.field == field) {
            let bits = ones(p.len) << p.field_lo;
            if seen & bits != 0 {
                return Err(format!("a bit of field `{}` appears twice", declared.name));
            }
            seen |= bits;
        }
        if seen != ones(declared.width()) << declared.lo {
            return Err(format!("some bits of field `{}` are missing", declared.name));
        }
        let excluded = declared.not.iter().map(|n| vec![Atom::Compare(field, Cmp::Ne, Rhs::Number(*n))]);
        insn.constraints.extend(excluded);
    }
    Ok(())
}

/// The notes column: `if CONSTRAINTS`, `over NAME` and flags, separated by `;`.
fn read_notes(table: &Table, notes: &[&str], insn: &mut Insn) -> Result<(), String> {
    for note in notes.join(" ").split(';').map(str::trim).filter(|n| !n.is_empty()) {
        if let Some(text) = note.strip_prefix("if ") {
            for term in text.split(" and ") {
                let atoms = term.split(" or ").map(|atom| constraint(table, insn, atom.trim()));
                insn.constraints.push(atoms.collect::<Result<_, _>>()?);
            }
        } else if let Some(names) = note.strip_prefix("over ") {
            insn.over.extend(names.split_whitespace().map(str::to_string));
        } else {
            for flag in note.split_whitespace() {
                insn.flags |= 1 << find(flag, &table.flags, "flag")?;
            }
        }
    }
    Ok(())
}

fn constraint(table: &Table, insn: &Insn, atom: &str) -> Result<Atom, String> {
    let operators =
        [("==", Cmp::Eq), ("!=", Cmp::Ne), ("<=", Cmp::Le), (">=", Cmp::Ge), ("<", Cmp::Lt), (">", Cmp::Gt)];
    for (text, cmp) in operators {
        let Some((left, right)) = atom.split_once(text) else { continue };
        let used = |name: &str| {
            let found = insn.fields().into_iter().find(|f| table.fields[*f].name == name);
            found.ok_or_else(|| format!("constraint `{atom}`: the encoding has no field `{name}`"))
        };
        let field = used(left.trim())?;
        let right = right.trim();
        let rhs = match number(right) {
            Ok(n) => Rhs::Number(u32::try_from(n).map_err(|_| format!("`{right}` is out of range"))?),
            Err(_) => Rhs::Field(used(right)?),
        };
        return Ok(Atom::Compare(field, cmp, rhs));
    }
    find(atom, &table.features, "feature or comparison").map(Atom::Feature)
}

/// Every operand that the call or the text uses must come from a field, and from one only.
fn defined(table: &Table, insn: &Insn) -> Result<(), String> {
    let slots: Vec<usize> = insn.fields().iter().map(|f| table.fields[*f].slot).collect();
    for (i, slot) in slots.iter().enumerate() {
        if slots[..i].contains(slot) {
            return Err(format!("two fields set operand `{}`", table.slots[*slot].name));
        }
    }
    let used = insn.args.iter().filter_map(|a| match a {
        Arg::Slot(s) => Some(*s),
        Arg::Number(_) => None,
    });
    let shown = insn.asm.iter().flat_map(|p| match p {
        AsmPart::Slot(s, _) => vec![*s],
        AsmPart::Pair(a, b, _) => vec![*a, *b],
        AsmPart::Text(_) | AsmPart::Number(..) => Vec::new(),
    });
    match used.chain(shown).find(|s| !slots.contains(s)) {
        Some(s) => {
            Err(format!("operand `{}` is used, but no field of the encoding sets it", table.slots[s].name))
        }
        None => Ok(()),
    }
}

fn assembly(table: &Table, text: &str) -> Result<Vec<AsmPart>, String> {
    let text = match text.strip_prefix('+') {
        Some(glued) => glued.replacen(' ', "\t", 1),
        None if text.is_empty() => String::new(),
        None => format!("\t{text}"),
    };
    let mut parts = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (inner, next) = after.split_once('}').ok_or("`{` without `}` in the assembly text")?;
        if !before.is_empty() {
            parts.push(AsmPart::Text(before.into()));
        }
        let (name, format) = match inner.split_once(':') {
            Some((name, format)) => (name, Some(format.to_string())),
            None => (inner, None),
        };
        if let (Some((first, second)), Some(format)) = (name.split_once(','), &format) {
            let slot = |name: &str| {
                let found = table.slots.iter().position(|s| s.name == name);
                found.ok_or_else(|| format!("`{name}` in the assembly text is not a declared operand"))
            };
            parts.push(AsmPart::Pair(slot(first)?, slot(second)?, format.clone()));
            rest = next;
            continue;
        }
        parts.push(match (table.slots.iter().position(|s| s.name == name), number(name)) {
            (Some(slot), _) => AsmPart::Slot(slot, format.or_else(|| table.slots[slot].format.clone())),
            (None, Ok(n)) => AsmPart::Number(n, format),
            (None, Err(_)) => return Err(format!("`{name}` in the assembly text is not a declared operand")),
        });
        rest = next;
    }
    if !rest.is_empty() {
        parts.push(AsmPart::Text(rest.into()));
    }
    Ok(parts)
}

/// `a and (b or not c)`; `and` binds tighter than `or`.
fn expression(table: &Table, tokens: &[&str]) -> Result<Expr, String> {
    let text = tokens.join(" ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = text.split_whitespace().collect();
    let mut at = 0;
    let expr = or_expr(table, &tokens, &mut at)?;
    if at == tokens.len() { Ok(expr) } else { Err(format!("unexpected `{}` in the features", tokens[at])) }
}

fn or_expr(table: &Table, tokens: &[&str], at: &mut usize) -> Result<Expr, String> {
    let mut list = vec![and_expr(table, tokens, at)?];
    while tokens.get(*at) == Some(&"or") {
        *at += 1;
        list.push(and_expr(table, tokens, at)?);
    }
    Ok(if list.len() == 1 { list.remove(0) } else { Expr::Or(list) })
}

fn and_expr(table: &Table, tokens: &[&str], at: &mut usize) -> Result<Expr, String> {
    let mut list = vec![not_expr(table, tokens, at)?];
    while tokens.get(*at) == Some(&"and") {
        *at += 1;
        list.push(not_expr(table, tokens, at)?);
    }
    Ok(if list.len() == 1 { list.remove(0) } else { Expr::And(list) })
}

fn not_expr(table: &Table, tokens: &[&str], at: &mut usize) -> Result<Expr, String> {
    let token = *tokens.get(*at).ok_or("the features end too early")?;
    *at += 1;
    match token {
        "not" => Ok(Expr::Not(Box::new(not_expr(table, tokens, at)?))),
        "(" => {
            let inner = or_expr(table, tokens, at)?;
            if tokens.get(*at) != Some(&")") {
                return Err("`(` without `)` in the features".into());
            }
            *at += 1;
            Ok(inner)
        }
        name => find(name, &table.features, "feature").map(Expr::Feature),
    }
}

/// A field's name and the bit ranges `(hi, lo)` of its value.
type Slices<'a> = (&'a str, Vec<(u32, u32)>);

/// `NAME[12|10:5]` as the name and its inclusive bit ranges.
fn slices(token: &str) -> Result<Slices<'_>, String> {
    let bad = || format!("`{token}` is not NAME[HI:LO|..]");
    let (name, list) = token.strip_suffix(']').and_then(|t| t.split_once('[')).ok_or_else(bad)?;
    let mut ranges = Vec::new();
    for range in list.split('|') {
        let (hi, lo) = range.split_once(':').unwrap_or((range, range));
        let (hi, lo): (u32, u32) = (hi.parse().map_err(|_| bad())?, lo.parse().map_err(|_| bad())?);
        if hi > 31 || lo > hi {
            return Err(format!("bits {range} of `{token}` are not within 31:0, highest first"));
        }
        ranges.push((hi, lo));
    }
    if name.is_empty() { Err(bad()) } else { Ok((name, ranges)) }
}

/// Fixed bits: `0`, `1`, and `-` for a bit that is ignored.
fn literal(token: &str) -> Option<(u32, u32)> {
    if token.len() > 32 || !token.bytes().all(|b| matches!(b, b'0' | b'1' | b'-')) {
        return None;
    }
    Some(token.bytes().fold((0, 0), |(mask, value), b| {
        (mask << 1 | u32::from(b != b'-'), value << 1 | u32::from(b == b'1'))
    }))
}

fn number(text: &str) -> Result<i64, String> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |t| (true, t));
    let value = match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let value = value.map_err(|_| format!("`{text}` is not a number"))?;
    Ok(if negative { -value } else { value })
}

fn unique(name: &str, list: &[String], what: &str) -> Result<(), String> {
    identifier(name)?;
    if list.iter().any(|n| n == name) { Err(format!("{what} `{name}` is declared twice")) } else { Ok(()) }
}

fn find(name: &str, list: &[String], what: &str) -> Result<usize, String> {
    list.iter().position(|n| n == name).ok_or_else(|| format!("`{name}` is not a declared {what}"))
}

fn identifier(name: &str) -> Result<(), String> {
    let head = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if head && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        Ok(())
    } else {
        Err(format!("`{name}` is not a lower-case identifier"))
    }
}
