//! The grammar: builds the tree, keeping every reference as a marker for the resolver.

use std::collections::HashMap;

use super::{lexer::Lexer, preprocess::Text};
use crate::{
    error::{Res, fault},
    source::{SearchPath, SourceMap, Span},
    tree::{Marker, MarkerKind, NodeId, Property, Reserve, Tree},
};

/// Nodes within nodes: twice what Linux accepts.
const MAX_DEPTH: u32 = 128;
/// All property values together.
const MAX_DATA: usize = 64 << 20;

/// Parses a whole file.
pub(super) fn parse(text: &Text, map: &SourceMap, search: &SearchPath) -> Res<Tree> {
    let mut p = Parser { lex: Lexer::new(text), tree: Tree::default(), map, search, data: 0, fragments: 0 };
    p.file()?;
    Ok(p.tree)
}

/// Parses the value of one property from text that is in `map`, such as a command line argument.
pub(crate) fn parse_value(map: &mut SourceMap, file: u32, search: &SearchPath) -> Res<Property> {
    let text = super::preprocess::preprocess(map, file, search)?;
    let mut p = Parser { lex: Lexer::new(&text), tree: Tree::default(), map, search, data: 0, fragments: 0 };
    let mut property = Property { span: p.lex.span(), ..Property::default() };
    p.value(&mut property)?;
    if !p.lex.at_end() {
        return Err(p.lex.expected("the end of the value"));
    }
    Ok(property)
}

struct Parser<'a> {
    lex: Lexer<'a>,
    tree: Tree,
    map: &'a SourceMap,
    search: &'a SearchPath,
    data: usize,
    /// Fragments made for `&label { }` in an overlay.
    fragments: u32,
}

impl Parser<'_> {
    fn file(&mut self) -> Res<()> {
        if self.lex.eat("/dts-v1/").is_none() {
            return Err(self.lex.expected("`/dts-v1/;`").help("a devicetree source starts with `/dts-v1/;`"));
        }
        self.lex.need(";")?;
        loop {
            if self.lex.eat("/plugin/").is_some() {
                self.tree.plugin = true;
            } else if self.lex.eat("/dts-v1/").is_none() {
                break;
            }
            self.lex.need(";")?;
        }
        let mut rooted = self.tree.plugin;
        while !self.lex.at_end() {
            let mut labels = Vec::new();
            while let Some((label, _)) = self.lex.label() {
                labels.push(label);
            }
            let start = self.lex.span();
            if self.lex.eat("/memreserve/").is_some() {
                let address = self.number("an address")?;
                let size = self.number("a size")?;
                self.lex.need(";")?;
                let labels = labels.into_iter().map(Into::into).collect();
                self.tree.reserve.push(Reserve { address, size, labels, span: start });
            } else if self.lex.eat("/dts-v1/").is_some() {
                // Of an included file.
                self.lex.need(";")?;
            } else if self.lex.eat("/delete-node/").is_some() {
                let (target, _) = self.target()?;
                self.tree.delete(target);
                self.lex.need(";")?;
            } else if self.lex.eat("/omit-if-no-ref/").is_some() {
                let (target, _) = self.target()?;
                self.tree.node_mut(target).omit_if_unused = true;
                self.lex.need(";")?;
            } else if let Some((reference, span)) = self.lex.reference()? {
                self.extension(reference, span, &labels)?;
            } else if self.lex.eat("/").is_some() {
                if !self.lex.next_is("{") {
                    return Err(self.lex.expected("`{` after `/`, or a directive such as /memreserve/"));
                }
                let node = self.body("", start, 0)?;
                match self.tree.node(Tree::ROOT).is_blank() {
                    true => self.tree.adopt(node),
                    false => self.tree.merge(Tree::ROOT, node),
                }
                for label in labels.iter().rev() {
                    self.tree.add_label(Tree::ROOT, label);
                }
                rooted = true;
            } else {
                return Err(self.lex.expected("`/ { ... };`, `&label { ... };` or a directive"));
            }
        }
        if !rooted {
            return Err(self.lex.expected("a root node").help("add `/ { };`"));
        }
        self.tree.boot_cpuid = self.boot_cpuid();
        Ok(())
    }

    /// `&label { ... };` outside of any node.
    fn extension(&mut self, reference: &str, span: Span, labels: &[&str]) -> Res<()> {
        let target = self.tree.by_reference(reference);
        if !self.lex.next_is("{") {
            return Err(self.lex.expected("`{`"));
        }
        let relative = !reference.starts_with('/') && reference.contains('/');
        match target {
            // A path in an overlay is a path in the tree that it will be applied to.
            Some(target) if !(self.tree.plugin && reference.starts_with('/')) => {
                let body = self.body("", span, 0)?;
                for label in labels.iter().rev() {
                    self.tree.add_label(target, label);
                }
                self.tree.merge(target, body);
                Ok(())
            }
            _ if self.tree.plugin && labels.is_empty() && !relative => {
                let body = self.body("__overlay__", span, 0)?;
                let mut property = Property { span, ..Property::default() };
                if reference.starts_with('/') {
                    property.name = "target-path".into();
                    property.markers.push(Marker { offset: 0, kind: MarkerKind::String, span });
                    property.data = [reference.as_bytes(), b"\0"].concat();
                } else {
                    property.name = "target".into();
                    property.markers.push(Marker { offset: 0, kind: MarkerKind::Cells(32), span });
                    let kind = MarkerKind::Phandle(reference.into());
                    property.markers.push(Marker { offset: 0, kind, span });
                    property.data = vec![0xff; 4];
                }
                let name = format!("fragment@{}", self.fragments);
                self.fragments += 1;
                let fragment = self.tree.add_child(Tree::ROOT, &name, span);
                self.tree.node_mut(fragment).props.push(property);
                self.tree.attach(fragment, body);
                Ok(())
            }
            _ => Err(self.no_such(reference, span)),
        }
    }

    fn no_such(&self, reference: &str, span: Span) -> Box<crate::error::Fault> {
        let what = if reference.starts_with('/') { "path" } else { "label" };
        fault(span, format!("there is no node with the {what} `{reference}`"))
            .help("the node must be written before it is extended or deleted; check the spelling")
    }

    /// A reference to a node that exists.
    fn target(&mut self) -> Res<(NodeId, Span)> {
        let Some((reference, span)) = self.lex.reference()? else {
            return Err(self.lex.expected("`&label` or `&{/path}`"));
        };
        match self.tree.by_reference(reference) {
            Some(id) => Ok((id, span)),
            None => Err(self.no_such(reference, span)),
        }
    }

    fn number(&mut self, what: &str) -> Res<u64> {
        match self.lex.integer()? {
            Some((value, _)) => Ok(value),
            None => Err(self.lex.expected(what)),
        }
    }

    /// `{ ... };` as a node that is not in the tree yet.
    fn body(&mut self, name: &str, span: Span, depth: u32) -> Res<NodeId> {
        if depth > MAX_DEPTH {
            return Err(fault(span, format!("nodes are nested more than {MAX_DEPTH} deep")));
        }
        self.lex.need("{")?;
        let id = self.tree.detached(name, span);
        let mut props: HashMap<String, Span> = HashMap::new();
        let mut children: HashMap<String, Span> = HashMap::new();
        while self.lex.eat("}").is_none() {
            let mut labels: Vec<&str> = Vec::new();
            let mut omit = false;
            loop {
                if let Some((label, _)) = self.lex.label() {
                    labels.push(label);
                } else if self.lex.eat("/omit-if-no-ref/").is_some() {
                    omit = true;
                } else {
                    break;
                }
            }
            if let Some(span) = self.lex.eat("/delete-property/") {
                let Some((name, _)) = self.lex.name()? else {
                    return Err(self.lex.expected("the name of a property"));
                };
                self.lex.need(";")?;
                let gone = Property { name: name.into(), span, deleted: true, ..Property::default() };
                self.tree.node_mut(id).props.push(gone);
                continue;
            }
            if let Some(span) = self.lex.eat("/delete-node/") {
                if self.lex.next_is("&") {
                    let (target, _) = self.target()?;
                    self.tree.delete(target);
                } else {
                    let Some((name, _)) = self.lex.name()? else {
                        return Err(self.lex.expected("the name of a node"));
                    };
                    let gone = self.tree.add_child(id, name, span);
                    self.tree.node_mut(gone).deleted = true;
                }
                self.lex.need(";")?;
                continue;
            }
            let Some((name, span)) = self.lex.name()? else {
                return Err(match self.lex.at_end() {
                    true => self.lex.expected("`}`").note(self.tree.node(id).span, "to close this node"),
                    false => self.lex.expected("a property, a node or `}`"),
                });
            };
            if self.lex.next_is("{") {
                if let Some(first) = children.insert(name.into(), span) {
                    return Err(fault(span, format!("node `{name}` is written twice in the same body"))
                        .help("merge the two, or give one another unit address")
                        .note(first, "first written here"));
                }
                let child = self.body(name, span, depth + 1)?;
                for label in labels.iter().rev() {
                    self.tree.add_label(child, label);
                }
                self.tree.node_mut(child).omit_if_unused = omit;
                self.tree.attach(id, child);
                continue;
            }
            if !children.is_empty() {
                // dtc's rule too: what follows the first child must be a child.
                let f = fault(span, format!("property `{name}` follows a child node"));
                return Err(f.help("move it before the first child, or add the missing `{ ... };`"));
            }
            if let Some(first) = props.insert(name.into(), span) {
                return Err(fault(span, format!("property `{name}` is written twice in the same body"))
                    .help("remove one of the two")
                    .note(first, "first written here"));
            }
            let mut property = Property { name: name.into(), span, ..Property::default() };
            property.labels = labels.into_iter().map(Into::into).collect();
            if self.lex.eat("=").is_some() {
                self.value(&mut property)?;
            } else if !self.lex.next_is(";") {
                return Err(self.lex.expected(&format!("`=`, `{{` or `;` after `{name}`")));
            }
            self.lex.need(";")?;
            self.tree.node_mut(id).props.push(property);
        }
        self.lex.need(";")?;
        Ok(id)
    }

    /// What stands between `=` and `;`.
    fn value(&mut self, property: &mut Property) -> Res<()> {
        self.labels(property);
        loop {
            let span = self.lex.span();
            if let Some((bytes, span)) = self.lex.string()? {
                self.mark(property, MarkerKind::String, span);
                self.append(property, &bytes, span)?;
                self.append(property, &[0], span)?;
            } else if self.lex.next_is("<") || self.lex.next_is("/bits/") {
                self.array(property)?;
            } else if self.lex.eat("[").is_some() {
                self.mark(property, MarkerKind::Bytes, span);
                loop {
                    self.labels(property);
                    match self.lex.byte()? {
                        Some((byte, span)) => self.append(property, &[byte], span)?,
                        None => break,
                    }
                }
                if self.lex.eat("]").is_none() {
                    return Err(self.lex.expected("two hexadecimal digits or `]`"));
                }
            } else if let Some((reference, span)) = self.lex.reference()? {
                self.mark(property, MarkerKind::String, span);
                self.mark(property, MarkerKind::Path(reference.into()), span);
            } else if self.lex.eat("/incbin/").is_some() {
                self.mark(property, MarkerKind::Bytes, span);
                self.incbin(property, span)?;
            } else {
                return Err(self.lex.expected("a value: <cells>, \"text\", [bytes], &label or /incbin/"));
            }
            self.labels(property);
            if self.lex.eat(",").is_none() {
                return Ok(());
            }
            self.labels(property);
        }
    }

    fn array(&mut self, property: &mut Property) -> Res<()> {
        let start = self.lex.span();
        let mut bits = 32;
        if self.lex.eat("/bits/").is_some() {
            let span = self.lex.span();
            bits = match self.number("8, 16, 32 or 64")? {
                bits @ (8 | 16 | 32 | 64) => bits as u8,
                other => {
                    return Err(fault(span, format!("cells cannot have {other} bits"))
                        .help("use 8, 16, 32 or 64 after /bits/"));
                }
            };
        }
        self.lex.need("<")?;
        self.mark(property, MarkerKind::Cells(bits), start);
        let mask = u64::MAX >> (64 - bits);
        loop {
            self.labels(property);
            if self.lex.eat(">").is_some() {
                return Ok(());
            }
            if let Some((value, span)) = self.lex.integer()? {
                // A negative number fits when all bits above are ones.
                if value > mask && value | mask != u64::MAX {
                    return Err(fault(span, format!("{value:#x} does not fit in {bits} bits"))
                        .help("write two cells, or /bits/ 64 before `<`"));
                }
                self.mark(property, MarkerKind::Cell, span);
                let bytes = (value & mask).to_be_bytes();
                self.append(property, &bytes[8 - bits as usize / 8..], span)?;
            } else if let Some((reference, span)) = self.lex.reference()? {
                if bits != 32 {
                    return Err(fault(span, "references can stand in arrays of 32 bits only"));
                }
                self.mark(property, MarkerKind::Phandle(reference.into()), span);
                self.append(property, &[0xff; 4], span)?;
            } else {
                let help = "an expression such as `1 + 2` needs parentheses, and a macro must be defined or included";
                return Err(self.lex.expected("a number, `&label`, `(` or `>`").help(help));
            }
        }
    }

    fn incbin(&mut self, property: &mut Property, start: Span) -> Res<()> {
        self.lex.need("(")?;
        let Some((path, span)) = self.lex.string()? else {
            return Err(self.lex.expected("a file name in quotes"));
        };
        let mut range = None;
        if self.lex.eat(",").is_some() {
            let offset = self.number("an offset")?;
            self.lex.need(",")?;
            range = Some((offset, self.number("a size")?));
        }
        self.lex.need(")")?;
        let path = String::from_utf8_lossy(&path);
        let found = self
            .search
            .find(&path, self.map.file(span), true)
            .map_err(|why| fault(span, format!("cannot read `{path}`")).help(why))?;
        let bytes = match range {
            None => &found.bytes[..],
            Some((offset, size)) => {
                let end = offset.checked_add(size).filter(|&end| end <= found.bytes.len() as u64);
                let Some(end) = end else {
                    let have = found.bytes.len();
                    return Err(fault(
                        span,
                        format!("`{path}` has {have} bytes: {size} at {offset} reach beyond"),
                    ));
                };
                &found.bytes[offset as usize..end as usize]
            }
        };
        self.append(property, bytes, start)
    }

    fn labels(&mut self, property: &mut Property) {
        while let Some((label, span)) = self.lex.label() {
            self.mark(property, MarkerKind::Label(label.into()), span);
        }
    }

    fn mark(&mut self, property: &mut Property, kind: MarkerKind, span: Span) {
        property.markers.push(Marker { offset: property.data.len() as u32, kind, span });
    }

    fn append(&mut self, property: &mut Property, bytes: &[u8], span: Span) -> Res<()> {
        self.data += bytes.len();
        if self.data > MAX_DATA {
            return Err(fault(span, format!("property values exceed {} MiB", MAX_DATA >> 20)));
        }
        property.data.extend_from_slice(bytes);
        Ok(())
    }

    /// What the DTB's header names as the boot CPU: the first child of /cpus.
    fn boot_cpuid(&self) -> u32 {
        let first = self.tree.by_path("/cpus").and_then(|cpus| self.tree.children(cpus).next());
        first.and_then(|cpu| self.tree.prop(cpu, "reg")).and_then(Property::u32).unwrap_or(0)
    }
}
