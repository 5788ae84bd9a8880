//! Boards: a compiled tree, what the user changed in it, and the description that a machine is built from.

mod address;
mod arm;
mod chosen;
mod cpus;
mod describe;
mod description;
mod interrupts;
mod isa;
mod params;
mod properties;
mod props;
mod references;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    builtin,
    dts::{self, Style},
    error::{Diagnostic, Error},
    source::SourceMap,
    tree::Tree,
};

pub use chosen::Chosen;
pub use description::*;
pub use params::Params;
pub use props::Props;

/// Which board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A board inside the program, by name.
    Builtin(String),
    /// A source on disk.
    Path(PathBuf),
}

impl Source {
    /// What `--machine` names: a built-in board, else a file.
    pub fn from_argument(text: &str) -> Source {
        match builtin::board_names().any(|name| name == text) {
            true => Source::Builtin(text.into()),
            false => Source::Path(text.into()),
        }
    }
}

/// A board inside the program.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BuiltinBoard {
    /// What `--machine` takes.
    pub name: &'static str,
    /// One line about it.
    pub summary: String,
}

/// The boards inside the program, sorted by name.
pub fn builtin_boards() -> Vec<BuiltinBoard> {
    builtin::board_names()
        .map(|name| {
            let board = compile(&Source::Builtin(name.into()), &Params::default());
            BuiltinBoard { name, summary: board.map(|b| b.description.summary).unwrap_or_default() }
        })
        .collect()
}

/// A compiled and validated board.
#[derive(Clone, Debug)]
pub struct Board {
    /// The tree, with the properties under `hyperemu,`.
    pub tree: Tree,
    /// What a machine is built from.
    pub description: Description,
    /// What is odd in the source, but possible.
    pub warnings: Vec<Diagnostic>,
    /// The files that spans point into.
    pub sources: Arc<SourceMap>,
}

/// Compiles a board, applies what the user changed, and validates the result.
pub fn compile(source: &Source, params: &Params) -> Result<Board, Error> {
    let mut search = builtin::search_path();
    search.directories = params.include.clone();
    let options = dts::Options::default();
    let (name, compiled) = match source {
        Source::Builtin(name) => {
            if !builtin::board_names().any(|known| known == name) {
                return Err(no_board(name));
            }
            (name.clone(), dts::compile_builtin(&format!("boards/{name}.dts"), &search, &options)?)
        }
        Source::Path(path) => {
            let name = path.file_stem().map_or("board".into(), |s| s.to_string_lossy().into_owned());
            if !path.exists() {
                return Err(no_board(&path.display().to_string()));
            }
            (name, compile_any(path, &search, &options)?)
        }
    };
    finish(name, compiled, params)
}

/// Compiles a board from text, as [`compile`] does from a file. `name` stands for the file in messages.
pub fn compile_text(name: &str, text: &str, params: &Params) -> Result<Board, Error> {
    let mut search = builtin::search_path();
    search.directories = params.include.clone();
    finish(name.into(), dts::compile_text(name, text, &search, &dts::Options::default())?, params)
}

/// A source, or a DTB that is decompiled first.
fn compile_any(
    path: &Path,
    search: &crate::source::SearchPath,
    options: &dts::Options,
) -> Result<dts::Compiled, Error> {
    if path.extension().is_none_or(|e| e != "dtb") {
        return dts::compile_path(path, search, options);
    }
    let shown = path.display().to_string();
    let found = search.open_path(path).map_err(|e| Error::bare(&shown, e))?;
    let tree = crate::dtb::read(&found.bytes).map_err(|e| Error::bare(&shown, e.to_string()))?;
    // As source, so that mistakes have positions.
    dts::compile_text(&shown, &dts::print(&tree, Style::Raw), search, options)
}

fn no_board(name: &str) -> Error {
    let names: Vec<&str> = builtin::board_names().collect();
    Error::bare(name, format!("there is no board and no file `{name}`"))
        .help(format!("boards are {}; or give the path of a .dts", names.join(", ")))
}

fn finish(name: String, compiled: dts::Compiled, params: &Params) -> Result<Board, Error> {
    let dts::Compiled { mut tree, mut sources } = compiled;
    if tree.plugin {
        return Err(
            Error::bare(&name, "this is an overlay, not a board").help("remove /plugin/, or name the board")
        );
    }
    params::apply(&mut tree, &mut sources, params)?;
    let sources = Arc::new(sources);
    let (description, warnings) = describe::describe(&tree, &sources, &name)?;
    Ok(Board { tree, description, warnings, sources })
}

/// Nodes that need no model: they tell the guest about other nodes.
const PASSIVE: [&str; 7] = [
    "fixed-clock",
    "syscon-poweroff",
    "syscon-reboot",
    // Parts of an M-profile core.
    "arm,v6m-nvic",
    "arm,v7m-nvic",
    "arm,armv6m-systick",
    "arm,armv7m-systick",
];

impl Board {
    /// The DTB for the guest.
    pub fn dtb(&self, chosen: &Chosen) -> Vec<u8> {
        chosen::guest_dtb(&self.tree, chosen)
    }

    /// The tree as source, with labels and with the properties for the emulator.
    pub fn dts(&self) -> String {
        dts::print(&self.tree, Style::Source)
    }

    /// Lists the devices on the cores' bus, and on buses of known devices, for none of whose `compatible`s `known` is true. What hangs
    /// below an unknown device is not listed again.
    pub fn classify(&mut self, known: &dyn Fn(&str) -> bool) -> &[UnknownNode] {
        let d = &mut self.description;
        let has_model = |node: &DeviceNode| {
            node.compatible.is_empty()
                || node.compatible.iter().any(|c| known(c) || PASSIVE.contains(&c.as_str()))
        };
        let models: Vec<bool> = d.devices.iter().map(has_model).collect();
        d.unknown = (0..d.devices.len())
            .filter(|&i| !models[i] && d.devices[i].parent.is_none_or(|parent| models[parent]))
            .map(|i| UnknownNode {
                device: i,
                path: d.devices[i].path.clone(),
                compatible: d.devices[i].compatible.clone(),
                position: self.sources.position(d.devices[i].span).to_string(),
            })
            .collect();
        &d.unknown
    }
}
