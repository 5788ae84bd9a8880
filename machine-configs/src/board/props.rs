//! Typed access to properties, with errors that point at them.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    error::Error,
    source::{SourceMap, Span},
    tree::{MarkerKind, Node, Property},
};

/// The properties of one node. Absent properties are `Ok(None)`; values of another type are errors with a position.
#[derive(Clone, Debug)]
pub struct Props {
    entries: Vec<Property>,
    sources: Arc<SourceMap>,
    span: Span,
}

impl Props {
    pub(crate) fn new(node: &Node, sources: &Arc<SourceMap>) -> Self {
        Props { entries: node.props.clone(), sources: sources.clone(), span: node.span }
    }

    /// All properties, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Property> {
        self.entries.iter()
    }

    /// The property.
    pub fn get(&self, name: &str) -> Option<&Property> {
        self.entries.iter().find(|p| p.name == name)
    }

    /// Whether the property exists, whatever its value: the boolean of devicetrees.
    pub fn bool(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// One cell.
    pub fn u32(&self, name: &str) -> Result<Option<u32>, Error> {
        self.typed(name, "one cell, as in <1>", Property::u32)
    }

    /// One or two cells, the first the more significant.
    pub fn u64(&self, name: &str) -> Result<Option<u64>, Error> {
        self.typed(name, "one or two cells, as in <1> or <0 1>", number)
    }

    /// Any number of cells.
    pub fn cells(&self, name: &str) -> Result<Option<Vec<u32>>, Error> {
        self.typed(name, "cells, as in <1 2 3>", Property::cells)
    }

    /// One string.
    pub fn string(&self, name: &str) -> Result<Option<String>, Error> {
        self.typed(name, "one string in quotes", Property::string)
    }

    /// One or more strings.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        self.typed(name, "strings in quotes", Property::strings)
    }

    fn typed<T>(
        &self,
        name: &str,
        what: &str,
        get: impl Fn(&Property) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(p) = self.get(name) else { return Ok(None) };
        match get(p) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::new(&self.sources, p.span, format!("`{name}` must be {what}"))),
        }
    }

    /// A mistake in a property, or in the node where there is no such property.
    pub fn error(&self, name: &str, message: impl Into<String>) -> Error {
        Error::new(&self.sources, self.get(name).map_or(self.span, |p| p.span), message)
    }

    /// Where the node was written.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The files that spans point into.
    pub fn sources(&self) -> &SourceMap {
        &self.sources
    }
}

/// A number of one or two cells.
pub(crate) fn number(p: &Property) -> Option<u64> {
    match p.cells()?.as_slice() {
        [low] => Some(u64::from(*low)),
        [high, low] => Some(u64::from(*high) << 32 | u64::from(*low)),
        _ => None,
    }
}

/// A property's value in JSON: true, a string, a list of strings, a list of cells, or bytes in hexadecimal.
#[derive(Serialize)]
#[serde(untagged)]
enum Json {
    Flag(bool),
    String(String),
    Strings(Vec<String>),
    Cells(Vec<u32>),
    Bytes(String),
}

impl Serialize for Props {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for p in &self.entries {
            let kind = p.markers.iter().find(|m| !matches!(m.kind, MarkerKind::Label(_))).map(|m| &m.kind);
            let text = matches!(kind, Some(MarkerKind::String) | None).then(|| p.strings()).flatten();
            let json = match text {
                _ if p.data.is_empty() => Json::Flag(true),
                Some(mut strings) if strings.len() == 1 => Json::String(strings.remove(0)),
                Some(strings) => Json::Strings(strings),
                None => match p.cells() {
                    Some(cells) if !matches!(kind, Some(MarkerKind::Bytes)) => Json::Cells(cells),
                    _ => Json::Bytes(p.data.iter().map(|b| format!("{b:02x}")).collect()),
                },
            };
            map.serialize_entry(&p.name, &json)?;
        }
        map.end()
    }
}
